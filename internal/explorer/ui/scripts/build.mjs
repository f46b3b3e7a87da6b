// Builds the page and writes it to ../dist, each file compressed; `build.mjs verify` compares instead.
//
// What is compared is the content, not the compressed bytes: those depend on the zlib of the Node that wrote them.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "../dist");

function compress(content) {
  const packed = gzipSync(content, { level: 9 });
  packed.fill(0, 4, 8); // no time of day
  packed[9] = 255; // no operating system
  return packed;
}

async function pageFiles() {
  const { output } = await build({ root, logLevel: "warn", build: { write: false } });
  return new Map(output.map((file) => [file.fileName, Buffer.from(file.code ?? file.source)]));
}

function write(files) {
  rmSync(dist, { recursive: true, force: true });
  let total = 0;
  for (const [name, content] of files) {
    const packed = compress(content);
    const path = join(dist, `${name}.gz`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, packed);
    total += packed.length;
    console.log(`${String(packed.length).padStart(8)}  ${name}`);
  }
  console.log(`${String(total).padStart(8)}  in all`);
}

function compare(files) {
  const wrong = [];
  const present = readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dist, join(entry.parentPath, entry.name)).replace(/\.gz$/, ""));
  for (const name of present) {
    if (!files.has(name)) wrong.push(`${name} is not built any more`);
  }
  for (const [name, content] of files) {
    if (!present.includes(name)) wrong.push(`${name} is missing`);
    else if (!gunzipSync(readFileSync(join(dist, `${name}.gz`))).equals(content)) wrong.push(`${name} differs`);
  }
  if (wrong.length === 0) return console.log(`${files.size} files are what the sources give`);
  console.error(`internal/explorer/dist is out of date; run make explorer:\n  ${wrong.join("\n  ")}`);
  process.exitCode = 1;
}

const files = await pageFiles();
if (process.argv[2] === "verify") compare(files);
else write(files);
