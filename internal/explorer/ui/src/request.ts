// A request that somebody typed: what it asks for, and what the explorer adds to it.

import { type FieldNode, getOperationAST, Kind, type OperationDefinitionNode, parse, valueFromASTUntyped } from "graphql";

export interface Request {
  query: string;
  operationName?: string | null | undefined;
  variables?: Record<string, unknown> | null | undefined;
}

/** The one field of a mutation that is written out directly. */
export interface Root {
  name: string;
  /** Where the answer has it. */
  key: string;
  node: FieldNode;
  input: Record<string, unknown>;
}

/** The request under the name of its one operation: after a change of tabs the editor's name is a moment behind its text. */
export function rename(request: Request): Request {
  try {
    const operation = getOperationAST(parse(request.query));
    return operation ? { ...request, operationName: operation.name?.value } : request;
  } catch {
    return request; // The server says what is wrong with it.
  }
}

/** Undefined for queries, for what is no GraphQL, and for a field inside a fragment. */
export function mutationOf({ query, operationName, variables }: Request): Root | undefined {
  let operation: OperationDefinitionNode | null | undefined;
  try {
    operation = getOperationAST(parse(query), operationName);
  } catch {
    return undefined; // The server says what is wrong with it.
  }
  if (operation?.operation !== "mutation") return undefined;
  const [node] = operation.selectionSet.selections;
  if (node?.kind !== Kind.FIELD) return undefined;
  const given = node.arguments?.find(({ name }) => name.value === "input")?.value;
  const input = given && valueFromASTUntyped(given, variables);
  return {
    name: node.name.value,
    key: (node.alias ?? node.name).value,
    node,
    input: typeof input === "object" && input !== null ? (input as Record<string, unknown>) : {},
  };
}

/** Puts text into a query, at offsets; nothing moves to another line. */
const insert = (query: string, additions: [at: number, text: string][]): string =>
  additions
    .sort(([a], [b]) => b - a)
    .reduce((text, [at, more]) => text.slice(0, at) + more + text.slice(at), query);

const began = "explorerToken: accessToken { token expiresIn } explorerSession: session { id }";
const selections: Record<string, string> = {
  login: ` ... on LoginPayload { ${began} } `,
  changePassword: ` ... on ChangePasswordPayload { ${began} } `,
  refreshToken: ` ${began} explorerRotated: rotated `,
};

/** What the explorer selects besides, and takes out of the answer again. */
export interface Extras {
  explorerToken?: { token: string; expiresIn: number };
  explorerSession?: { id: string };
  explorerRotated?: boolean;
}

/** The request with the selections that the explorer needs to go on in the session, and with `input` added to its own. */
export function extend(request: Request, root: Root, input: Record<string, unknown> = {}): Request {
  const { node } = root;
  const additions: [number, string][] = [];
  let { variables } = request;

  const more = selections[root.name];
  if (more && node.selectionSet?.loc) additions.push([node.selectionSet.loc.start + 1, more]);

  const missing = Object.entries(input).filter(([name, value]) => value && !(name in root.input));
  const literal = missing.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(", ");
  const given = node.arguments?.find(({ name }) => name.value === "input")?.value;
  if (given?.kind === Kind.VARIABLE) {
    variables = { ...variables, [given.name.value]: { ...root.input, ...Object.fromEntries(missing) } };
  } else if (literal && given?.kind === Kind.OBJECT) {
    additions.push([given.loc!.start + 1, ` ${literal} `]);
  } else if (literal && !node.arguments?.length) {
    additions.push([node.name.loc!.end, `(input: { ${literal} })`]);
  }
  return { ...request, query: insert(request.query, additions), variables };
}

/** Takes the extras out of an answer's field. */
export function takeExtras(field: unknown): Extras {
  if (typeof field !== "object" || field === null) return {};
  const answer = field as Extras;
  const { explorerToken, explorerSession, explorerRotated } = answer;
  delete answer.explorerToken;
  delete answer.explorerSession;
  delete answer.explorerRotated;
  return { ...(explorerToken && { explorerToken, explorerSession, explorerRotated }) } as Extras;
}
