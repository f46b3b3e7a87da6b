// All that the cases share: two servers, the built apps, a browser. And how a case visits them.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { build, preview } from "vite";
import { launch } from "./chromium.mjs";
import { keeper, password, shortLived, startDev, startServe } from "./pawl.mjs";
import { openRelay } from "./relay.mjs";
import { openForeignSite, openSite } from "./site.mjs";

const run = promisify(execFile);
const here = path.dirname(import.meta.dirname);
const repository = path.dirname(here);

/** Long enough for any answer, on a machine that has much else to do. */
export const patience = 30_000;

const serveGrace = 6000;
const devGrace = 4000;

async function openExample(folder, pawl) {
  const root = path.join(repository, "examples/react");
  const outDir = path.join(folder, "example");
  const config = { root, logLevel: "warn", build: { outDir, emptyOutDir: true } };
  process.env.PAWL_URL = pawl; // as its vite.config.js wants it
  await build(config);
  return preview({ ...config, preview: { port: 0 } });
}

/** Opens everything; `close()` ends it. */
export async function openWorld() {
  const ends = [];
  const close = async () => {
    for (const end of ends.reverse()) await end();
  };
  try {
    return { ...(await open(ends)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Puts into `ends` how to end what it opened. */
async function open(ends) {
  const folder = await mkdtemp(path.join(tmpdir(), "pawl-browser-"));
  ends.push(() => rm(folder, { recursive: true, force: true }));
  const kept = async (opening, end = (opened) => opened.close()) => {
    const opened = await opening;
    ends.push(() => end(opened));
    return opened;
  };
  const stop = (server) => server.stop();

  const binary = path.join(folder, "pawl");
  const apps = path.join(folder, "apps");
  let serve;
  const relay = await kept(openRelay(() => serve.url));
  const building = run("go", ["build", "-o", binary, "./cmd/pawl"], { cwd: repository });
  await build({
    configFile: path.join(here, "vite.config.js"),
    logLevel: "warn",
    build: { outDir: apps, emptyOutDir: true },
  });
  const example = await kept(openExample(folder, relay.url));
  const [one, other, foreign] = await Promise.all([
    kept(openSite(apps)),
    kept(openSite(apps)),
    kept(openForeignSite()),
  ]);
  const origins = [one, other].map(({ port }) => `http://localhost:${port}`);
  const exampleUrl = example.resolvedUrls.local[0].replace(/\/$/, "");
  const browser = await kept(launch());
  await building;
  serve = await kept(startServe(binary, folder, [...origins, exampleUrl], serveGrace), stop);
  const dev = await kept(startDev(binary, path.join(folder, "dev"), shortLived(origins, devGrace)), stop);
  dev.grace = devGrace;
  return {
    folder,
    binary,
    browser,
    serve,
    dev,
    origins,
    example: { url: exampleUrl, relay },
    foreignPort: foreign.port,
  };
}

/**
 * In each page: a clock that a test can set forward, or stop as a sleeping laptop does. `stopAll` stops the wall clock
 * with it, so that Pawl alone can know that a token has expired.
 */
function shiftableClock() {
  const now = performance.now.bind(performance);
  const wall = Date.now;
  let ahead = 0;
  let stopped;
  let wallStopped;
  performance.now = () => stopped ?? now() + ahead;
  Date.now = () => wallStopped ?? wall();
  const stop = () => (stopped = performance.now());
  globalThis.clock = {
    forward: (ms) => (ahead += ms),
    stop,
    stopAll: () => [stop(), (wallStopped = wall())],
  };
}

/** Keeps what the pages of a browser print. */
export function keepConsole(context) {
  const keep = keeper("console");
  return context.on("console", (message) => keep(message.text()));
}

/**
 * A person with a browser of their own (a context), and a relay of their own to a server.
 *
 * `app` is `apollo` or `urql`; with `bare` it does without the package. All of it goes when the test `t` ends.
 */
export async function visit(
  t,
  world,
  { app = "apollo", bare = false, server = world.serve, browser = world.browser } = {},
) {
  const [email, relay, context] = await Promise.all([
    server.addUser(),
    openRelay(() => server.url),
    browser.newContext().then(keepConsole),
  ]);
  context.setDefaultTimeout(patience);
  await context.addInitScript(shiftableClock);
  t.after(async () => {
    await context.close();
    relay.close();
  });
  const query = new URLSearchParams({ pawl: relay.url, timeout: String(server.grace / 2), ...(bare && { bare: "" }) });
  return {
    context,
    email,
    relay,
    server,
    /** Opens the app, on one of the listed origins. */
    async tab(origin = world.origins[0], into = context) {
      const page = await into.newPage();
      await page.goto(`${origin}/${app}.html?${query}`);
      return page;
    },
    /** Opens `count` tabs, signed in; no refresh was needed for it with the package. Their clocks may stand still. */
    async signedIn(count = 1, { stopped } = {}) {
      const tabs = [];
      for (let i = 0; i < count; i++) tabs.push(await this.tab());
      if (stopped) await Promise.all(tabs.map((tab) => tab.evaluate((stop) => clock[stop](), stopped)));
      await login(tabs[0], email);
      if (!bare) await Promise.all(tabs.map((tab) => shows(tab, "signed-in")));
      return tabs;
    },
    /** The refresh cookie that this browser holds. */
    refreshCookie: async () => (await context.cookies(relay.url)).find(({ name }) => name === server.cookie),
    /** Returns when the grace of the newest turn is over. */
    graceOver: () => graceOver(relay, server),
  };
}

/** Returns when the grace of the newest turn that a relay saw is over. */
export async function graceOver(relay, server) {
  const { at = 0 } = relay.of("refresh").findLast(({ rotated }) => rotated) ?? {};
  await until(() => Date.now() > at + server.grace + 250);
}

/** Why Pawl refuses an access token, or undefined. */
export async function refused(server, token) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const response = await fetch(`${server.url}/graphql`, { method: "POST", headers, body: '{"query":"{me{id}}"}' });
  return (await response.json()).errors?.[0].extensions.reason;
}

/** Signs in; fails where that fails. */
export const login = (tab, email) =>
  tab.evaluate(([email, password]) => app.login(email, password).then(() => {}), [email, password]);

/** `count` queries at once in each tab, at once; comes to all answers. */
export const ask = async (tabs, count) =>
  (await Promise.all(tabs.map((tab) => tab.evaluate((n) => app.burst(n), count)))).flat();

/** As many answers as there should be. */
export const answers = (count, email) => Array.from({ length: count }, () => email);

/** Waits until the app says that its state is this. */
export const shows = (tab, state) =>
  tab.waitForFunction((state) => document.getElementById("state").textContent === state, state, { timeout: patience });

/** Waits until `test()` is true. */
export async function until(test, limit = patience) {
  const end = Date.now() + limit;
  for (;;) {
    const outcome = await test();
    if (outcome) return outcome;
    if (Date.now() > end) throw new Error(`waited ${limit} ms in vain for ${test}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
