// The explorer of `pawl dev`, as somebody finds it who has read nothing: its tour, from the first tab to the last.

import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { password, startDev } from "../world/pawl.mjs";
import { openRelay } from "../world/relay.mjs";
import { keepConsole, patience, until } from "../world/world.mjs";

/** Opens a tab of the tour and runs it, faster than the editor tells which operation it holds; comes to the answer. */
async function step({ page, relay }, name) {
  await page.getByRole("tab", { name: new RegExp(`^${name}`) }).click();
  const text = new RegExp(`(query|mutation) ${name}\\b`);
  const known = relay.exchanges.length;
  await page.getByRole("button", { name: /^Execute query/ }).click();
  const exchange = await until(() => relay.exchanges.slice(known).find(({ sent }) => text.test(sent)));
  assert.equal(JSON.parse(exchange.sent).operationName, name);
  return JSON.parse(exchange.text);
}

const shown = (page, text) => page.locator(".who", { hasText: text }).waitFor({ timeout: patience });

export function explorerCases(world) {
  test("explorer: the tour from start to end", async (t) => {
    let dev;
    const relay = await openRelay(() => dev.url);
    t.after(relay.close);
    dev = await startDev(world.binary, path.join(world.folder, "explorer"), { PAWL_ALLOWED_ORIGINS: relay.url });
    t.after(dev.stop);
    const context = keepConsole(await world.browser.newContext());
    t.after(() => context.close());
    const page = await context.newPage();
    const tour = { page, relay };
    const complaints = [];
    const foreign = [];
    page.on(
      "console",
      (message) =>
        message.type() === "error" && complaints.push(message.text()),
    );
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on(
      "request",
      (request) =>
        request.url().startsWith(relay.url) || /^(data|blob):/.test(request.url()) || foreign.push(request.url()),
    );
    await page.goto(`${relay.url}/explorer`);
    await page.getByRole("tab", { name: "LogIn" }).waitFor({ timeout: patience });
    await shown(page, "Not signed in");
    await page.getByText("# 1. Log in").waitFor({ timeout: patience }); // the editor comes last

    const before = await step(tour, "WhoAmI");
    assert.equal(before.errors[0].extensions.code, "UNAUTHENTICATED");
    const signedIn = await step(tour, "LogIn");
    assert.equal(signedIn.data.login.user.email, "demo@example.com");
    await shown(page, "demo@example.com");
    const left = Number(await page.getByRole("timer").getAttribute("data-left"));
    assert.ok(left > 600 && left <= 900, `${left} seconds until the access token expires`);

    assert.equal((await step(tour, "WhoAmI")).data.me.email, "demo@example.com");
    assert.equal((await step(tour, "Refresh")).data.refreshToken.rotated, true);
    await page.locator("[data-rotations='1']").waitFor({ timeout: patience });
    assert.equal((await step(tour, "Refresh")).data.refreshToken.rotated, false);
    const other = (await step(tour, "OtherDevice")).data.login.session;
    const sessions = (await step(tour, "MySessions")).data.mySessions;
    assert.deepEqual(
      sessions.map(({ id, current }) => [id, current]).toSorted(),
      [
        [other.id, false],
        [signedIn.data.login.session.id, true],
      ].toSorted(),
    );
    assert.equal((await step(tour, "Revoke")).data.revokeSession.sessionId, other.id);
    assert.equal((await step(tour, "MySessions")).data.mySessions.length, 1);
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    );
    assert.equal((await step(tour, "LogOut")).data.logout.sessionId, signedIn.data.login.session.id);
    await shown(page, "Logged out");
    assert.equal((await step(tour, "WhoAmI")).errors[0].extensions.code, "UNAUTHENTICATED");
    await until(async () =>
      (await page.locator(".result-window, .graphiql-response").first().innerText()).includes("UNAUTHENTICATED"),
    );

    assert.ok(!kept.includes(password), "the browser keeps the password");
    assert.doesNotMatch(kept, /eyJ|Authorization/i, "the browser keeps a token");
    assert.deepEqual(foreign, [], "requests to elsewhere");
    assert.deepEqual(complaints, []);
  });
}
