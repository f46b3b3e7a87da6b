// The commands of the READMEs do what they say, from the root of the repository.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, startPawl } from "./pawl.mjs";

const examples = join(import.meta.dirname, "..");

/** Runs the command of an example's README; it ends with the test. */
function start(t, example, env) {
  const [, command] = /<!-- start -->\n```sh\n(.+)\n```/.exec(readFileSync(join(examples, example, "README.md"), "utf8"));
  const options = { cwd: join(examples, ".."), env: { ...process.env, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] };
  const program = spawn("sh", ["-c", command], options);
  const ended = once(program, "exit");
  const running = { ended, log: "" };
  for (const stream of [program.stdout, program.stderr]) stream.on("data", (text) => (running.log += text));
  t.after(async () => {
    if (program.exitCode === null) process.kill(-program.pid, "SIGTERM");
    await ended;
    const { PAWL_TEST_LOG_DIR } = process.env;
    if (PAWL_TEST_LOG_DIR) writeFileSync(join(mkdtempSync(join(PAWL_TEST_LOG_DIR, "command-")), "log"), running.log);
  });
  return running;
}

/** Asks until the program answers. */
async function ask(running, url, options) {
  let over = false;
  running.ended.then(() => (over = true));
  for (const end = Date.now() + 120_000; Date.now() < end && !over; await sleep(50)) {
    const answer = await fetch(url, options).catch(() => undefined);
    if (answer) return answer;
  }
  throw new Error(`no answer from ${url}:\n${running.log}`);
}

for (const [example, variable] of [["go-resource", "ADDR"], ["node-resource", "PORT"]]) {
  test(example, async (t) => {
    const pawl = await startPawl(t);
    const port = await freePort();
    const running = start(t, example, { PAWL_URL: pawl.url, [variable]: variable === "ADDR" ? `localhost:${port}` : `${port}` });
    const url = `http://localhost:${port}/orders`;
    assert.equal((await ask(running, url)).status, 401);
    const { access } = await pawl.login();
    assert.equal((await ask(running, url, { headers: { authorization: `Bearer ${access}` } })).status, 200);
  });
}

test("gateway", async (t) => {
  const pawl = await startPawl(t);
  const port = await freePort();
  const running = start(t, "gateway", { PAWL_URL: pawl.url, PORT: `${port}` });
  const { access } = await pawl.login();
  const answer = await ask(running, `http://localhost:${port}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${access}` },
    body: JSON.stringify({ query: "{ me { email } orders { item } }" }),
  });
  const { data } = await answer.json();
  assert.equal(data.me.email, "demo@example.com");
  assert.equal(data.orders.length, 1);
});

test("mobile", async (t) => {
  const running = start(t, "mobile", {});
  const [code] = await running.ended;
  assert.equal(code, 0, running.log);
  assert.match(running.log, /All as it should be\.\n$/);
});
