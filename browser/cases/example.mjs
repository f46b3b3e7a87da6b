// The React example, as a person uses it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { elsewhere, heading, openExample, signIn, visitExample } from "../world/example.mjs";
import { keeper, password } from "../world/pawl.mjs";
import { ask, graceOver, keepConsole, shows, until, visit } from "../world/world.mjs";

/** The text of what has the focus. */
const focused = (page) => page.evaluate(() => document.activeElement.ariaLabel || document.activeElement.textContent);

/** Tab, until this has the focus. */
async function tabTo(page, name) {
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press("Tab");
    if ((await focused(page)) === name) return;
  }
  assert.fail(`the keyboard does not reach ${name}`);
}

export function exampleCases(world) {
  test("example: from sign-in to a revoked device with the keyboard alone", async (t) => {
    const { page, email } = await visitExample(t, world);
    await heading(page, "Sign in");
    await page.keyboard.type(email);
    await page.keyboard.press("Tab");
    await page.keyboard.type("not the password");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: /\w/ }).waitFor();
    await page.keyboard.type(password); // the wrong one is selected
    await page.keyboard.press("Enter");
    await heading(page, "Home");
    await page.getByText(email).waitFor();

    const phone = await elsewhere(t, world, email);
    await tabTo(page, "Your devices");
    await page.keyboard.press("Enter");
    await heading(page, "Your devices");
    assert.match(await focused(page), /^Your devices/);
    await page.getByRole("listitem").nth(1).waitFor();
    await tabTo(page, "Sign out Chrome on Linux");
    await page.keyboard.press("Enter");
    await page.getByText("Chrome on Linux is signed out.").waitFor();
    await until(async () => (await page.getByRole("listitem").count()) === 1);
    assert.equal(await focused(page), "Devices");
    await ask([phone.page], 1);
    await shows(phone.page, "signed-out REVOKED");

    await page.keyboard.press("Shift+Tab");
    assert.equal(await focused(page), "Sign out");
    await page.keyboard.press("Enter");
    await heading(page, "You have signed out");
    assert.deepEqual(page.complaints, []);
  });

  test("example: the command of its README", async (t) => {
    const url = await startByReadme(t);
    const context = keepConsole(await world.browser.newContext());
    t.after(() => context.close());
    const page = await openExample({ example: { url } }, context);
    await page.getByRole("button", { name: "Sign in with it" }).click();
    await heading(page, "Home");
    await page.getByText("demo@example.com").waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("example: all other devices at once", async (t) => {
    const { page, email } = await visitExample(t, world);
    await signIn(page, email);
    await heading(page, "Home");
    const others = await Promise.all([elsewhere(t, world, email), elsewhere(t, world, email)]);
    await page.getByRole("link", { name: "Your devices" }).click();
    await page.getByRole("button", { name: "Sign out all other devices" }).click();
    await until(async () => (await page.getByRole("listitem").count()) === 1);
    for (const { page } of others) {
      await ask([page], 1);
      await shows(page, "signed-out REVOKED");
    }
  });

  test("example: a reload and a second tab find the session; signing out ends both", async (t) => {
    const { page, email, context } = await visitExample(t, world);
    await signIn(page, email);
    await heading(page, "Home");
    await page.reload();
    await page.getByText(email).waitFor();
    const second = await openExample(world, context);
    await second.getByText(email).waitFor();
    await second.getByRole("button", { name: "Sign out" }).click();
    await Promise.all([heading(second, "You have signed out"), heading(page, "You have signed out")]);
  });

  test("example: somebody else signs in in another tab", async (t) => {
    const { page, email, context } = await visitExample(t, world);
    const second = await openExample(world, context);
    const other = await world.serve.addUser();
    await signIn(page, email);
    await Promise.all([page.getByText(email).waitFor(), second.getByText(email).waitFor()]);
    // As a tab does that was restored without the channel: it signs in over what is there.
    await second.evaluate(
      async ([url, email, password]) => {
        const query = "mutation($input: LoginInput!) { login(input: $input) { __typename } }";
        const body = JSON.stringify({ query, variables: { input: { email, password } } });
        await fetch(`${url}/graphql`, {
          method: "POST",
          credentials: "include",
          headers: { "content-type": "application/json" },
          body,
        });
      },
      [world.example.relay.url, other, password],
    );
    await page.getByRole("button", { name: "Refresh now" }).click();
    await heading(page, "Signed in anew");
    assert.equal(await page.getByText(email).count(), 0, "the page still shows the person before");
    await page.getByRole("button", { name: "Go on with the new sign-in" }).click();
    await page.getByText(other).waitFor();
  });

  test("example: a thief is too late: the session ends for both, and the page says so", async (t) => {
    const { page, thief } = await robbed(t, world);
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByText("replaced once").waitFor();
    await graceOver(world.example.relay, world.serve);
    await thief.evaluate(() => app.pawl.refresh().then(() => {}));
    await shows(thief, "signed-out REUSED");
    await page.getByRole("link", { name: "Your devices" }).click();
    await heading(page, "Your session has ended");
  });

  test("example: a thief was first: the session ends for both, and the page says so", async (t) => {
    const { page, thief, theft } = await robbed(t, world);
    await thief.evaluate(() => app.pawl.refresh().then(() => {}));
    await shows(thief, "signed-in");
    await theft.graceOver();
    await page.getByRole("button", { name: "Refresh now" }).click();
    await heading(page, "We ended your session");
    await page.getByText("A copy of your sign-in was used somewhere else.").waitFor();
    await ask([thief], 1);
    await shows(thief, "signed-out REVOKED");
  });

  test("example: the policy is strict, and nothing is wider than a phone", async (t) => {
    const { page, email } = await visitExample(t, world);
    await page.setViewportSize({ width: 390, height: 844 });
    const response = await page.goto(world.example.url);
    const policy = response.headers()["content-security-policy"];
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.doesNotMatch(policy, /unsafe|\*|data:|blob:/);
    const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await heading(page, "Sign in");
    assert.ok((await overflow()) <= 0, "sign in");
    await signIn(page, email);
    for (const name of ["Home", "Your devices"]) {
      await page.getByRole("link", { name }).click();
      await heading(page, name);
      assert.ok((await overflow()) <= 0, name);
    }
    assert.deepEqual(page.complaints, []);
  });
}

const root = path.join(import.meta.dirname, "../..");

async function freePort() {
  const server = createServer().listen(0, "localhost");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Runs the command of the example's README; comes to its address. */
async function startByReadme(t) {
  const [, command] = /<!-- start -->\n```sh\n(.+)\n```/.exec(
    readFileSync(path.join(root, "examples/react/README.md"), "utf8"),
  );
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const env = { ...process.env, PORT: String(port), PAWL_ALLOWED_ORIGINS: url };
  const program = spawn("sh", ["-c", command], { cwd: root, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(program, "exit");
  let log = "";
  for (const stream of [program.stdout, program.stderr]) stream.on("data", (text) => (log += text));
  t.after(async () => {
    if (program.exitCode === null) process.kill(-program.pid, "SIGTERM");
    await ended;
    keeper("command")(log);
  });
  const answers = () =>
    fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(() => {
    if (program.exitCode !== null) throw new Error(`${command} ended:\n${log}`);
    return answers();
  });
  return url;
}

/** Somebody is signed in to the example, and a thief has a copy of the cookie in a browser of their own. */
async function robbed(t, world) {
  const { page, email, context } = await visitExample(t, world);
  await signIn(page, email);
  await page.getByText(email).waitFor();
  const theft = await visit(t, world);
  await theft.context.addCookies(await context.cookies(world.example.relay.url));
  return { page, theft, thief: await theft.tab() };
}
