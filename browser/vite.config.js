import { defineConfig } from "vite";

export default defineConfig({
  root: `${import.meta.dirname}/apps`,
  resolve: { preserveSymlinks: true }, // the client package is a link into this repository
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { input: ["apollo.html", "urql.html"].map((page) => `${import.meta.dirname}/apps/${page}`) },
  },
});
