// Starts Pawl: `serve` with a real Redis and PostgreSQL, or `dev`. What it prints
// at debug level is left in PAWL_TEST_LOG_DIR where that is set.

import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The password of everybody. */
export const password = "correct horse battery staple";

/** Where `scripts/no-secrets` looks for what is printed: comes to what takes lines for a new file there. */
export function keeper(name) {
  const folder = process.env.PAWL_TEST_LOG_DIR;
  const file = folder && path.join(folder, `${name}-${randomUUID()}.log`);
  return (text) => file && appendFileSync(file, text + "\n");
}

/** Runs until `stop()`. Its own settings only: nothing of the caller's environment that is called PAWL_. */
async function start(binary, args, settings) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...settings };
  const child = spawn(binary, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const log = [];
  const keep = keeper(`pawl-${args[0]}`);
  createInterface({ input: child.stdout }).on("line", keep);
  const address = await new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stderr });
    lines.on("line", (line) => {
      log.push(line);
      keep(line);
      const [, port] = /"msg":"listening","address":"[^"]*:(\d+)"/.exec(line) ?? [];
      if (port) resolve(`http://localhost:${port}`);
    });
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`pawl ${args[0]} ended with ${code}:\n${log.join("\n")}`)));
  });
  return {
    url: address,
    log,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

const common = {
  PAWL_ADDR: "localhost:0",
  PAWL_ADMIN_ADDR: "off",
  PAWL_LOG_FORMAT: "json",
  PAWL_LOG_LEVEL: "debug",
  PAWL_LOGIN_NETWORK_RATE: "off",
  PAWL_LOGIN_SUCCESS_RATE: "off",
};

/** `pawl serve`, ready, with an empty database. `grace` is in milliseconds. */
export async function startServe(binary, folder, origins, grace) {
  const settings = {
    ...common,
    PAWL_DATABASE_URL: process.env.PAWL_TEST_POSTGRES_URL,
    PAWL_REDIS_URL: process.env.PAWL_TEST_REDIS_URL,
    PAWL_KEYS_DIR: path.join(folder, "keys"),
    PAWL_ISSUER: "https://auth.example.com",
    PAWL_AUDIENCE: "https://api.example.com",
    PAWL_ALLOWED_ORIGINS: origins.join(","),
    PAWL_ACCESS_TTL: "1m",
    PAWL_REUSE_GRACE: `${grace}ms`,
  };
  const keep = keeper("pawl-operate");
  const operate = async (args, input = "") => {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...settings };
    const done = run(binary, args, { env });
    done.child.stdin.end(input);
    const { stdout, stderr } = await done;
    keep(stdout + stderr);
    return stdout;
  };
  await Promise.all([operate(["keys", "init"]), operate(["migrate", "up"])]);
  const server = await start(binary, ["serve"], settings);
  let users = 0;
  return {
    ...server,
    grace,
    cookie: "__Host-pawl-refresh",
    /** Adds an account and tells its address. */
    async addUser() {
      const email = `user${++users}@example.com`;
      await operate(["user", "add", email], password + "\n");
      return email;
    },
    revoke: (sessionId) => operate(["session", "revoke", sessionId]),
    /** How many sessions of an account have not ended. */
    sessions: async (email) => JSON.parse(await operate(["session", "list", email, "--json"])).length,
  };
}

/** `pawl dev`, with an empty folder. */
export async function startDev(binary, folder, settings) {
  const server = await start(binary, ["dev"], { ...common, PAWL_DATA_DIR: folder, ...settings });
  return { ...server, cookie: "pawl-refresh", addUser: async () => "demo@example.com" };
}

/** Access tokens that live for five seconds, to the second: `pawl serve` grants no less than a minute. */
export const shortLived = (origins, grace) => ({
  PAWL_ALLOWED_ORIGINS: origins.join(","),
  PAWL_ACCESS_TTL: "5s",
  PAWL_LEEWAY: "0s",
  PAWL_REUSE_GRACE: `${grace}ms`,
});
