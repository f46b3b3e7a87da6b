// Compares schema.graphqls with that of the last release, and fails on a change
// that breaks clients:
//
//   node compare.mjs            with the newest tag vX.Y.Z that this commit contains
//   node compare.mjs OLD NEW    two files
//
// A break that is meant, and stands in CHANGELOG.md, is accepted by its line in
// accepted.txt. The lines are removed after the release.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const SCHEMA = new URL("../../schema.graphqls", import.meta.url);

/**
 * The changes from one schema text to another: { breaking, accepted, dangerous,
 * harmless }, lists of messages, and `unused`, those of `accept` that are no change.
 */
export async function compare(before, after, accept = []) {
  const found = { breaking: [], accepted: [], dangerous: [], harmless: [] };
  for (const { message, criticality } of await diff(buildSchema(before), buildSchema(after))) {
    const breaking = accept.includes(message) ? found.accepted : found.breaking;
    const lists = { [CriticalityLevel.Breaking]: breaking, [CriticalityLevel.Dangerous]: found.dangerous };
    (lists[criticality.level] ?? found.harmless).push(message);
  }
  return { ...found, unused: accept.filter((message) => !found.accepted.includes(message)) };
}

const git = (...args) => execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" });

/** The newest release that this commit contains, if there is one: its tag. */
function lastRelease() {
  const tags = git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname").split("\n");
  return tags.find((tag) => /^v\d+\.\d+\.\d+$/.test(tag));
}

async function main(before, after) {
  if (!before) {
    const tag = lastRelease();
    if (!tag) {
      console.log("schema: nothing released yet, so nothing to compare with (a shallow clone lacks the tags)");
      return true;
    }
    console.log(`schema: compared with ${tag}`);
    before = git("show", `${tag}:schema.graphqls`);
    after = readFileSync(SCHEMA, "utf8");
  } else {
    [before, after] = [before, after].map((file) => readFileSync(file, "utf8"));
  }
  const accept = readFileSync(new URL("accepted.txt", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"));
  const found = await compare(before, after, accept);
  for (const message of found.dangerous) console.log(`  may surprise clients: ${message}`);
  for (const message of found.accepted) console.log(`  breaks clients, accepted: ${message}`);
  for (const message of found.breaking) console.log(`  BREAKS CLIENTS: ${message}`);
  for (const message of found.unused) console.log(`  NO CHANGE, remove it from accepted.txt: ${message}`);
  const count = Object.values(found).flat().length - found.unused.length;
  console.log(`schema: ${count} changes, ${found.breaking.length} break clients`);
  return found.breaking.length + found.unused.length === 0;
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  if (args.length !== 0 && args.length !== 2) {
    console.error("usage: node compare.mjs [OLD NEW]");
    process.exit(2);
  }
  process.exit((await main(...args)) ? 0 : 1);
}
