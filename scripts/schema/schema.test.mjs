import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { compare } from "./compare.mjs";
import { reference } from "./reference.mjs";

const here = import.meta.dirname;
const schema = readFileSync(join(here, "../../schema.graphqls"), "utf8");

/** The schema with one edit, which must hit. */
function edited(from, to) {
  const text = schema.replace(from, to);
  assert.notEqual(text, schema, `${from} is not in the schema`);
  return text;
}

/** A repository of its own, with the schema and these scripts. */
function repository(t) {
  const root = mkdtempSync(join(tmpdir(), "pawl-schema-"));
  t.after(() => rmSync(root, { recursive: true }));
  const scripts = join(root, "scripts/schema");
  cpSync(here, scripts, { recursive: true, filter: (path) => !path.includes("node_modules") });
  symlinkSync(join(here, "node_modules"), join(scripts, "node_modules"));
  mkdirSync(join(root, "docs"));
  const git = (...args) => execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x", ...args], { cwd: root, stdio: "pipe" });
  const write = (text) => writeFileSync(join(root, "schema.graphqls"), text);
  const run = (script, ...args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(scripts, script), ...args], { encoding: "utf8" });
    return { status, said: stdout + stderr };
  };
  write(schema);
  git("init", "-q");
  git("add", "schema.graphqls");
  git("commit", "-qm", "x");
  return { root, git, write, run };
}

test("compare: what breaks clients", async () => {
  const breaks = {
    "a field that is gone": edited(/\n  "What the user may do;.*\n  role: Role!/, ""),
    "a field that may be null now": edited("email: String!\n  \"What", "email: String\n  \"What"),
    "an input that is needed now": edited('"The refresh token of a `BODY` session."\n  refreshToken: String', "refreshToken: String!"),
    "an enum value that is gone": edited(/\n  "May also look at.*\n  ADMIN/, "").replaceAll("(role: ADMIN)", ""),
    "a member of a union that is gone": edited(" | TooManyAttemptsError\n\n", "\n\n"),
  };
  for (const [name, after] of Object.entries(breaks)) {
    assert.notDeepEqual((await compare(schema, after)).breaking, [], name);
  }
});

test("compare: what does not", async () => {
  const fine = {
    nothing: schema,
    "a description": edited("An account.", "An account of a user."),
    "a field more": edited("  createdAt: DateTime!\n}", "  createdAt: DateTime!\n  name: String\n}"),
    "an optional input more": edited("input LogoutInput {", "input LogoutInput {\n  reason: String"),
  };
  for (const [name, after] of Object.entries(fine)) {
    assert.deepEqual((await compare(schema, after)).breaking, [], name);
  }
  const more = await compare(schema, edited("\n  ADMIN\n}", "\n  ADMIN\n  ROBOT\n}"));
  assert.equal(more.breaking.length, 0);
  assert.equal(more.dangerous.length, 1, "an enum value more may surprise clients");
});

test("compare: a break that is accepted, and one that is not there", async () => {
  const after = edited("input LogoutInput {", "input LogoutInput {\n  reason: String!");
  const { breaking } = await compare(schema, after);
  assert.equal(breaking.length, 1);
  const found = await compare(schema, after, [...breaking, "Field X was removed"]);
  assert.deepEqual([found.breaking, found.accepted, found.unused], [[], breaking, ["Field X was removed"]]);
});

test("compare.mjs: the last release, or two files", (t) => {
  const { root, git, write, run } = repository(t);
  assert.match(run("compare.mjs").said, /nothing released yet/);
  git("tag", "v0.1.0");
  assert.deepEqual(run("compare.mjs"), { status: 0, said: "schema: compared with v0.1.0\nschema: 0 changes, 0 break clients\n" });
  write(edited(/\n  "What the user may do;.*\n  role: Role!/, ""));
  const { status, said } = run("compare.mjs");
  assert.equal(status, 1, said);
  assert.match(said, /BREAKS CLIENTS: Field 'role' was removed from object type 'User'/);
  git("commit", "-qam", "x");
  git("tag", "v1.0.0-rc.1"); // is no release
  assert.equal(run("compare.mjs").status, 1);
  git("tag", "v1.0.0");
  assert.equal(run("compare.mjs").status, 0);

  const now = join(root, "schema.graphqls");
  assert.equal(run("compare.mjs", join(here, "../../schema.graphqls"), now).status, 1);
  assert.equal(run("compare.mjs", now, now).status, 0);
  assert.equal(run("compare.mjs", now).status, 2);
});

test("lint: every rule bites", (t) => {
  const { root } = repository(t);
  const bad = join(root, "bad.graphqls");
  writeFileSync(bad, `
    type Query { a(b: String): String, "lower." Cc: Int @deprecated }
    type Mutation { x(input: String): Int }
    directive @q(a: Int) on FIELD
    input YInput { A_a: Int } input bad { b: Int } enum E { a } type low { a: Int }`);
  const cli = join(here, "node_modules/.bin/graphql-schema-linter");
  const lint = (...args) => spawnSync(cli, ["--config-directory", here, ...args], { cwd: here, encoding: "utf8" });
  const { status, stdout } = lint("--format", "compact", bad);
  assert.equal(status, 1);
  const { rules } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"))["graphql-schema-linter"];
  assert.equal(rules.length, 14);
  const { errors } = JSON.parse(lint("--format", "json", bad).stdout);
  assert.deepEqual([...new Set(errors.map(({ rule }) => rule))].sort(), rules, stdout);
});

test("reference: every link leads to a heading, and every heading is one of its kind", () => {
  const text = reference(schema);
  const slug = (heading) => heading.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-");
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading));
  assert.deepEqual(headings, [...new Set(headings)]);
  const links = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, target]) => target);
  assert.ok(links.length > 40, `${links.length} links`);
  assert.deepEqual(links.filter((target) => !headings.includes(target)), []);
  for (const [, name] of schema.matchAll(/^(?:type|input|union|enum|interface|scalar|directive) @?(\w+)/gm)) {
    if (!["Query", "Mutation"].includes(name)) assert.ok(headings.includes(name.toLowerCase()), `${name} has no heading`);
  }
});

test("reference.mjs: notices that it is out of date", (t) => {
  const { write, run } = repository(t);
  assert.equal(run("reference.mjs").status, 1, "no file yet");
  assert.equal(run("reference.mjs", "--write").status, 0);
  assert.equal(run("reference.mjs").status, 0);
  write(edited("An account.", "An account of a user."));
  const { status, said } = run("reference.mjs");
  assert.equal(status, 1);
  assert.match(said, /make schema-docs/);
});
