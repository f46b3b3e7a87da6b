// Bundles the entries into dist/, or the tests into .test/ (`build.mjs test`).
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const shared = { bundle: true, packages: "external", format: "esm", logLevel: "warning" };

if (process.argv[2] === "test") {
  rmSync(".test", { recursive: true, force: true });
  const entryPoints = readdirSync("test").filter((name) => name.endsWith(".test.ts")).map((name) => `test/${name}`);
  await build({ ...shared, entryPoints, outdir: ".test", platform: "node", target: "node20", sourcemap: "inline" });
} else {
  rmSync("dist", { recursive: true, force: true });
  const entryPoints = ["index", "apollo", "urql", "fetch"].map((name) => `src/${name}.ts`);
  await build({ ...shared, entryPoints, outdir: "dist", target: "es2022" });
}
