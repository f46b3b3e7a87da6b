// Prints what each entry weighs, minified and compressed, and fails when the core is above its limit.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const limit = 3000;

async function weigh(entry) {
  const { outputFiles } = await build({
    entryPoints: [`src/${entry}.ts`],
    bundle: true,
    packages: "external",
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

for (const [entry, name] of [["index", "core"], ["apollo", "apollo"], ["urql", "urql"], ["fetch", "fetch"]]) {
  const bytes = await weigh(entry);
  console.log(`${name.padEnd(7)} ${String(bytes).padStart(5)} bytes gzip`);
  if (name === "core" && bytes >= limit) {
    console.error(`the core must stay below ${limit} bytes`);
    process.exitCode = 1;
  }
}
