// What a GraphQL document tells without its schema: what kind of operation it is, and which root fields it may have.

export interface Operation {
  kind: "query" | "mutation" | "subscription";
  /**
   * The response keys of the root fields, with those that `@skip` or `@include` may leave out and without
   * `__typename`. Undefined where the document is not known.
   */
  fields?: ReadonlySet<string> | undefined;
}

interface Selections {
  fields: string[];
  /** Names of fragments. */
  spreads: string[];
}

interface Definition extends Selections {
  kind: string;
  name: string | undefined;
}

/** Block strings, strings, comments, then what matters. */
const TOKEN = /"""(?:\\"""|(?!\\?""")[^])*"""|"(?:\\.|[^"\\\n\r])*"|#[^\n\r]*|\.\.\.|[_a-z]\w*|[^\s,\ufeff]/gi;

const isName = (token: string | undefined): token is string => /^[_a-z]/i.test(token ?? "");

/** Reads tokens from left to right; throws where they are no executable document. */
class Reader {
  #at = 0;
  readonly #tokens: string[];

  constructor(source: string) {
    this.#tokens = (source.match(TOKEN) ?? []).filter((token) => !/^#|^"./.test(token));
    if (this.#tokens.includes('"')) throw new SyntaxError("a string has no end");
  }

  definitions(): Definition[] {
    const all: Definition[] = [];
    while (this.#at < this.#tokens.length) all.push(this.#definition());
    return all;
  }

  get #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new SyntaxError("the document ends early");
    return token;
  }

  #take(token: string): boolean {
    if (this.#peek !== token) return false;
    this.#at++;
    return true;
  }

  /** Leaves out a group in brackets, if there is one here. */
  #skip(open: "(" | "{"): void {
    if (this.#peek !== open) return;
    let depth = 0;
    do {
      const token = this.#next();
      if (/^[([{]$/.test(token)) depth++;
      if (/^[)\]}]$/.test(token)) depth--;
    } while (depth > 0);
  }

  #skipDirectives(): void {
    while (this.#take("@")) {
      this.#next();
      this.#skip("(");
    }
  }

  #definition(): Definition {
    if (this.#peek === "{") return { kind: "query", name: undefined, ...this.#selections() };
    const kind = this.#next();
    const name = isName(this.#peek) ? this.#next() : undefined;
    if (this.#take("on")) this.#next();
    this.#skip("(");
    this.#skipDirectives();
    return { kind, name, ...this.#selections() };
  }

  #selections(): Selections {
    const found: Selections = { fields: [], spreads: [] };
    if (!this.#take("{")) throw new SyntaxError("a selection set is missing");
    while (!this.#take("}")) {
      if (this.#take("...")) this.#fragment(found);
      else this.#field(found);
    }
    return found;
  }

  #fragment(found: Selections): void {
    const named = isName(this.#peek) && this.#peek !== "on";
    if (named) found.spreads.push(this.#next());
    else if (this.#take("on")) this.#next();
    this.#skipDirectives();
    if (named) return;
    const inner = this.#selections();
    found.fields.push(...inner.fields);
    found.spreads.push(...inner.spreads);
  }

  #field(found: Selections): void {
    const key = this.#next();
    if (!isName(key)) throw new SyntaxError("a field is missing");
    const field = this.#take(":") ? this.#next() : key;
    if (field !== "__typename") found.fields.push(key);
    this.#skip("(");
    this.#skipDirectives();
    this.#skip("{");
  }
}

function addFields({ fields, spreads }: Selections, definitions: Definition[], to: Set<string>, seen: Set<string>): void {
  for (const field of fields) to.add(field);
  for (const name of spreads) {
    if (seen.has(name)) continue;
    seen.add(name);
    const fragment = definitions.find((one) => one.kind === "fragment" && one.name === name);
    if (!fragment) throw new SyntaxError("a fragment is missing");
    addFields(fragment, definitions, to, seen);
  }
}

/** The operation that a server would carry out; undefined where that cannot be told. */
export function readOperation(source: string, operationName?: string | null): Operation | undefined {
  try {
    const definitions = new Reader(source).definitions();
    const operations = definitions.filter(({ kind }) => kind !== "fragment");
    const [operation, another] = operationName ? operations.filter(({ name }) => name === operationName) : operations;
    if (!operation || another || !/^(query|mutation|subscription)$/.test(operation.kind)) return undefined;
    const fields = new Set<string>();
    addFields(operation, definitions, fields, new Set());
    return { kind: operation.kind as Operation["kind"], fields };
  } catch {
    return undefined;
  }
}
