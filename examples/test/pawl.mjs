// A `pawl dev` with data and a port of its own, for the tests of the examples.
// The program is PAWL_BIN. What it prints at debug level is left in
// PAWL_TEST_LOG_DIR where that is set.
import { execFileSync, spawn } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const program = process.env.PAWL_BIN;
if (!program) throw new Error("PAWL_BIN is not set: run `make examples`");

/** Starts one. `env` are settings; t is the test that it ends with. */
export async function startPawl(t, env = {}) {
  const data = mkdtempSync(join(tmpdir(), "pawl-"));
  const pawl = new Pawl(data, await freePort(), env);
  t.after(async () => {
    await pawl.stop();
    rmSync(data, { recursive: true, force: true });
  });
  await pawl.start();
  return pawl;
}

/** The time in the name of a key file, in milliseconds. */
const usedFrom = (file) => Date.parse(basename(file).replace(/^access-(....)(..)(..T..)(..)(..Z)\.pem$/, "$1-$2-$3:$4:$5"));

class Pawl {
  #data;
  #port;
  #env;
  #log;
  #process;

  constructor(data, port, env) {
    this.#data = data;
    this.#port = port;
    this.#env = { ...process.env, PAWL_LOG_LEVEL: "debug", ...env };
    this.#log = join(process.env.PAWL_TEST_LOG_DIR || data, `${basename(data)}.log`);
    this.url = `http://localhost:${port}`;
  }

  /** Resolves when the program is ready. */
  async start() {
    const args = ["dev", "--addr", `localhost:${this.#port}`, "--data-dir", this.#data];
    const log = openSync(this.#log, "a");
    this.#process = spawn(program, args, { env: this.#env, stdio: ["ignore", log, log] });
    closeSync(log);
    for (const end = Date.now() + 60_000; Date.now() < end && this.#process.exitCode === null; await sleep(20)) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (answer?.ok) return;
    }
    throw new Error(`pawl dev is not ready after a minute:\n${readFileSync(this.#log, "utf8")}`);
  }

  async stop() {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGTERM");
    await ended;
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  /** Puts a signing key of another algorithm into the folder; the next start signs with it. */
  addKey(alg) {
    const made = mkdtempSync(join(tmpdir(), "pawl-keys-"));
    execFileSync(program, ["keys", "init", "--alg", alg, "--keys-dir", made], { stdio: ["ignore", "ignore", "inherit"] });
    const file = readdirSync(made).find((name) => name.startsWith("access-"));
    // The newest by name signs: the others were used from a minute before.
    for (const other of this.#keyFiles()) this.#name(other, usedFrom(other) - 60_000);
    this.#name(join(made, file), Date.now());
    rmSync(made, { recursive: true });
  }

  /** Puts a signing key into the folder, to be used from a time on. */
  #name(file, from) {
    const stamp = new Date(from).toISOString().replace(/[-:]|\.\d+/g, "");
    renameSync(file, join(this.#data, "keys", `access-${stamp}.pem`));
  }

  #keyFiles() {
    const names = readdirSync(join(this.#data, "keys")).filter((name) => name.startsWith("access-"));
    return names.sort().map((name) => join(this.#data, "keys", name));
  }

  removeOldestKey() {
    rmSync(this.#keyFiles()[0]);
  }

  /** The private key that signs now. */
  signingKey() {
    return createPrivateKey(readFileSync(this.#keyFiles().at(-1)));
  }

  /** The access and the refresh token of a new session. */
  async login(email = "demo@example.com") {
    const query = `mutation ($email: String!) {
      login(input: { email: $email, password: "correct horse battery staple", refreshTokenDelivery: BODY }) {
        ... on LoginPayload { accessToken { token } refreshToken }
      }
    }`;
    const answer = await fetch(`${this.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query, variables: { email } }),
    });
    const { login } = (await answer.json()).data;
    return { access: login.accessToken.token, refresh: login.refreshToken };
  }
}

/** A port below those that connections get. */
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const server = createServer().listen(port, "localhost");
    const free = await Promise.race([once(server, "listening").then(() => true), once(server, "error").then(() => false)]);
    if (!free) continue;
    await new Promise((closed) => server.close(closed));
    return port;
  }
}
