// Writes docs/schema.md from schema.graphqls:
//
//   node reference.mjs            fails when the file is not what would be written
//   node reference.mjs --write
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parse, print } from "graphql";

const SCHEMA = new URL("../../schema.graphqls", import.meta.url);
const REFERENCE = new URL("../../docs/schema.md", import.meta.url);
const BUILT_IN = ["ID", "String", "Int", "Float", "Boolean"];

/** The reference of a schema text, as Markdown. */
export function reference(text) {
  const { definitions } = parse(text);
  const of = (...kinds) => definitions.filter(({ kind }) => kinds.includes(kind));
  const objects = of("ObjectTypeDefinition", "InterfaceTypeDefinition", "UnionTypeDefinition");
  const root = (name) => objects.find((type) => type.name.value === name);
  const others = objects.filter((type) => !["Query", "Mutation"].includes(type.name.value));
  return [
    "<!-- Written by `make schema-docs` from schema.graphqls. Do not edit. -->",
    "# Schema reference",
    "Errors, statuses and limits are in [api.md](api.md), the life of a session in [sessions.md](sessions.md).",
    "## Queries",
    ...rootFields(root("Query")),
    "## Mutations",
    ...rootFields(root("Mutation")),
    "## Answers",
    ...others.flatMap(answer),
    "## Inputs",
    ...of("InputObjectTypeDefinition").flatMap((type) => [...head(type), fields(type.fields)]),
    "## Enums",
    ...of("EnumTypeDefinition").flatMap((type) => [...head(type), values(type.values)]),
    "## Scalars",
    ...of("ScalarTypeDefinition").flatMap(head),
    "## Directives",
    "How the schema says who may use a field. Clients do not send them.",
    ...of("DirectiveDefinition").flatMap(directive),
  ].join("\n\n") + "\n";
}

/** The paragraphs of a description, as they stand. */
const described = ({ description }) => description.value.trim();

/** A description in one line of a table. */
const cell = (node) => described(node).replace(/\n\n+/g, "<br>").replace(/\n/g, " ").replaceAll("|", "\\|");

const head = (type) => [`### ${type.name.value}`, described(type)];

/** A type, linked to its own part of the page. */
function link(type) {
  const text = `\`${print(type)}\``;
  let named = type;
  while (named.type) named = named.type;
  const name = named.name.value;
  return BUILT_IN.includes(name) ? text : `[${text}](#${name.toLowerCase()})`;
}

function table(titles, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(titles), line(titles.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Fields, arguments or input fields. */
function fields(nodes) {
  const name = (node) => `\`${node.name.value}\`${node.defaultValue ? ` = \`${print(node.defaultValue)}\`` : ""}`;
  return table(["", "type", ""], nodes.map((node) => [name(node), link(node.type), cell(node)]));
}

const values = (nodes) => table(["", ""], nodes.map((node) => [`\`${node.name.value}\``, cell(node)]));

/** Query or Mutation: a heading for each field. */
function rootFields(type) {
  return [
    described(type),
    ...type.fields.flatMap((field) => [
      `### ${field.name.value}`,
      [
        `Answer: ${link(field.type)}.`,
        ...field.arguments.map((node) => `Argument: \`${node.name.value}\`, ${link(node.type)}. ${cell(node)}`),
        `For: ${audience(field)}.`,
      ].join("  \n"),
      described(field),
    ]),
  ];
}

/** Who may use a root field, by its directive. */
function audience({ directives }) {
  const auth = directives.find(({ name }) => name.value === "auth");
  if (!auth) return "everybody";
  const role = auth.arguments.find(({ name }) => name.value === "role");
  return role && print(role.value) === "ADMIN" ? "admins, with an access token" : "whoever has an access token";
}

function answer(type) {
  if (type.kind === "UnionTypeDefinition") {
    return [...head(type), `One of ${type.types.map(link).join(", ")}.`];
  }
  const kinds = type.interfaces.map(link).join(", ");
  return [...head(type), ...(kinds ? [`Is a ${kinds}.`] : []), fields(type.fields)];
}

function directive(node) {
  const list = node.arguments.length > 0 ? [fields(node.arguments)] : [];
  return [`### @${node.name.value}`, described(node), ...list];
}

if (process.argv[1] === import.meta.filename) {
  const wanted = reference(readFileSync(SCHEMA, "utf8"));
  if (process.argv[2] === "--write") {
    writeFileSync(REFERENCE, wanted);
  } else if (!existsSync(REFERENCE) || readFileSync(REFERENCE, "utf8") !== wanted) {
    console.error("docs/schema.md is out of date: run make schema-docs");
    process.exit(1);
  }
}
