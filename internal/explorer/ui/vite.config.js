// How the page is built; scripts/build.mjs compresses it.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { strictStyles } from "./scripts/strict-styles.mjs";
import { smallMonaco } from "./scripts/small-monaco.mjs";

const client = (entry) => fileURLToPath(new URL(`../../../client/src/${entry}.ts`, import.meta.url));

export default defineConfig({
  base: "/explorer/",
  plugins: [strictStyles(), smallMonaco()],
  // The client package as it stands in this repository.
  resolve: {
    alias: {
      "@pawlauth/client/fetch": client("fetch"),
      "@pawlauth/client": client("index"),
    },
  },
  // The server puts a new nonce into each page.
  html: { cspNonce: "PAWL_NONCE" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000,
    reportCompressedSize: false,
    rolldownOptions: { checks: { moduleLevelDirective: false } },
    license: { fileName: "licenses.md" },
  },
});
