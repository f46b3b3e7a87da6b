// Leaves out what an editor of GraphQL and JSON does not need: most of the page's size.
import { fileURLToPath } from "node:url";

const source = (name) => fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url));

const editor = "monaco-graphql/esm/monaco-editor.js";

const instead = {
  [editor]: source("monaco"),
  "prettier/plugins/estree": source("jsonPrinter"),
  "prettier/parser-babel": source("jsonPrinter"),
};

export function smallMonaco() {
  const asked = new Set();
  return {
    name: "small-monaco",
    enforce: "pre",
    resolveId(name, importer = "") {
      const full = importer.includes("/monaco-graphql/esm/") ? name.replace(/^\.\/monaco-editor(\.js)?$/, editor) : name;
      if (!(full in instead)) return;
      asked.add(full);
      return instead[full];
    },
    buildEnd(error) {
      const missing = Object.keys(instead).filter((name) => !asked.has(name));
      if (!error && missing.length) this.error(`GraphiQL has changed: nothing imports ${missing.join(", ")}`);
    },
  };
}
