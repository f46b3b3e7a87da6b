// A plugin of prettier for JSON with comments. GraphiQL asks for prettier's own, which brings a whole JavaScript
// parser; the build puts this in its place.

import { applyEdits, format } from "jsonc-parser";

const layout = { insertSpaces: true, tabSize: 2, keepLines: false };

export const parsers = {
  jsonc: {
    astFormat: "formatted",
    parse: (text: string) => ({ text: applyEdits(text, format(text, undefined, layout)).trim() }),
    locStart: () => 0,
    locEnd: ({ text }: { text: string }) => text.length,
  },
};

export const printers = {
  formatted: { print: ({ node }: { node: { text: string } }) => node.text },
};
