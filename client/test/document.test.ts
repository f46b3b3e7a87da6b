import assert from "node:assert/strict";
import test from "node:test";
import { getOperationAST, Kind, parse, type SelectionSetNode } from "graphql";
import { readOperation } from "../src/document.js";

/** What the reference implementation finds, without @skip and @include. */
function reference(source: string, operationName?: string) {
  const document = parse(source);
  const operation = getOperationAST(document, operationName);
  if (!operation) return undefined;
  const fields = new Set<string>();
  const collect = ({ selections }: SelectionSetNode, seen: string[]): void => {
    for (const selection of selections) {
      if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet, seen);
      else if (selection.kind === Kind.FIELD) {
        if (selection.name.value !== "__typename") fields.add((selection.alias ?? selection.name).value);
      } else if (!seen.includes(selection.name.value)) {
        for (const one of document.definitions)
          if (one.kind === Kind.FRAGMENT_DEFINITION && one.name.value === selection.name.value)
            collect(one.selectionSet, [...seen, one.name.value]);
      }
    }
  };
  collect(operation.selectionSet, []);
  return { kind: operation.operation, fields };
}

const documents: [source: string, operationName?: string][] = [
  ["{ me { id } }"],
  ["query { a, b }"],
  ["mutation{pay}"],
  ["mutation Pay($to: ID! = \"x\", $o: In = {a: [1, -2.5e3]}) @dir(a: {b: \"}\"}) { pay(to: $to, o: $o) { id } }"],
  ["mutation { mine: pay __typename type: __typename }"],
  ["mutation { pay(note: \"} note { \\\" } x\") note }"],
  ['mutation { pay(note: """ } note { \\""" " } """) note }'],
  ['mutation { pay(note: "") note(note: """""") }'],
  ["mutation { pay # } note\n note }"],
  ["mutation { ... on Mutation { a } ... @include(if: true) { b } ... { c } ...Rest @skip(if: false) } fragment Rest on Mutation { d ...More } fragment More on Mutation { e }"],
  ["fragment on2 on Mutation { on: a query: b fragment: c } mutation mutation { ...on2 on }"],
  ["query A { a } mutation B { b }", "B"],
  ["query A { a } mutation B { b }", "A"],
  ["query A { a } mutation B { b }", "C"],
  ["query A { a } mutation B { b }"],
  ["subscription { tick }"],
  ["\ufeffmutation\r\n{\tpay }"],
  ["fragment A on Query { a }"],
];

for (const [source, operationName] of documents) {
  test(`document: ${source} ${operationName ?? ""}`, () => {
    assert.deepEqual(readOperation(source, operationName), reference(source, operationName));
  });
}

for (const source of [
  "",
  "mutation",
  "mutation {",
  "mutation { pay",
  "mutation { pay( }",
  "mutation { ...Missing }",
  'mutation { pay(note: "open) }',
  "type Query { a: Int }",
  "mutation { pay } }",
  "mutation { 1 }",
]) {
  test(`document: nothing is known of ${JSON.stringify(source)}`, () => {
    assert.equal(readOperation(source), undefined);
  });
}

test("document: fragments that include each other", () => {
  const source = "mutation { ...A } fragment A on Mutation { a ...B } fragment B on Mutation { b ...A }";
  assert.deepEqual(readOperation(source)?.fields, new Set(["a", "b"]));
});

test("document: a long string costs no more than its length", () => {
  const begin = performance.now();
  readOperation(`mutation { pay(note: """${'\\"""'.repeat(50_000)}) }`);
  readOperation(`mutation { pay(note: "${"\\\\".repeat(50_000)}) }`);
  assert.ok(performance.now() - begin < 20_000);
});
