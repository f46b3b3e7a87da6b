// Tells whether an answer refuses the access token that came with its request, and whether the request may be
// repeated with another one.

import type { Operation } from "./document.js";

interface AnswerError {
  path?: readonly unknown[] | undefined;
  extensions?: { code?: unknown } | undefined;
}

/** The parts of a GraphQL answer that are looked at. Anything may have sent it, so nothing is sure. */
export type Answer = { data?: unknown; errors?: readonly (AnswerError | null)[] | undefined } | null | undefined;

const errorsOf = (answer: Answer): readonly AnswerError[] =>
  Array.isArray(answer?.errors) ? answer.errors.map((error) => error ?? {}) : [];

const isRefusal = ({ extensions }: AnswerError): boolean => extensions?.code === "UNAUTHENTICATED";

/** Whether the token was refused, for all of the request or for a part. */
export const refused = (answer: Answer, status?: number): boolean =>
  status === 401 || errorsOf(answer).some(isRefusal);

/** Whether a 401 was given after something had been executed already. */
function executed(answer: Answer, operation: Operation | undefined): boolean {
  const errors = errorsOf(answer);
  return errors.some(({ path }) => path) || (answer?.data != null && (errors.length > 0 || !!operation));
}

/**
 * Whether a refused request may be repeated. A mutation must not be carried out twice, and that a field is null
 * does not say that nothing was done for it. So each of its root fields must have been refused itself: by an
 * error at that field, not inside of it. Where there is but one root field the path may be missing.
 */
export function repeatable(answer: Answer, operation: Operation | undefined, status?: number): boolean {
  if (operation?.kind === "query" || (status === 401 && !executed(answer, operation))) return true;
  const fields = operation?.kind === "mutation" && operation.fields;
  const errors = errorsOf(answer);
  if (!fields || !errors.every((error) => isRefusal(error) && (error.path?.length ?? 0) <= 1)) return false;
  const data = (answer?.data ?? {}) as Record<string, unknown>;
  const refusedAt = (field: string) => ({ path }: AnswerError) => (path?.length ? path[0] === field : fields.size === 1);
  return [...fields].every((field) => data[field] == null && errors.some(refusedAt(field)));
}

/** The answer in a body; undefined where there is none. */
export function readAnswer(body: unknown): Answer {
  try {
    return JSON.parse(String(body)) as Answer;
  } catch {
    return undefined;
  }
}
