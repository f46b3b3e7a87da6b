// One tab, and what happens to its tokens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answers, ask, refused, shows, until, visit } from "../world/world.mjs";

const queries = 5;

/** The access token that the tab holds, without a refresh. */
const tokenOf = (tab) => tab.evaluate(() => app.pawl.getAccessToken());

export function refreshCases(world) {
  for (const app of ["apollo", "urql"]) {
    test(`${app}: a token expires, and nobody notices`, async (t) => {
      const person = await visit(t, world, { app, server: world.dev });
      const [tab] = await person.signedIn();
      await until(() => tab.evaluate(() => app.pawl.expiresIn() === 0));
      assert.deepEqual(await ask([tab], 1), answers(1, person.email));
      assert.equal(person.relay.of("refresh").length, 1, "refreshes");
      assert.deepEqual(await tab.evaluate(() => app.history), ["unknown", "signed-in"]);
    });

    test(`${app}: five queries at once with a token that Pawl refuses: one refresh, five answers`, async (t) => {
      const person = await visit(t, world, { app, server: world.dev });
      const [tab] = await person.signedIn(1, { stopped: "stopAll" });
      const token = await tokenOf(tab);
      await until(() => refused(world.dev, token));
      assert.deepEqual(await ask([tab], queries), answers(queries, person.email));
      assert.equal(person.relay.of("refresh").length, 1, "refreshes");
      assert.equal(person.relay.of("query").length, 2 * queries, "queries: each refused once, then answered");
    });

    test(`${app}: five queries at once and one refresh`, async (t) => {
      const person = await visit(t, world, { app });
      const [tab] = await person.signedIn();
      await tab.evaluate(() => clock.forward(61_000));
      assert.deepEqual(await ask([tab], queries), answers(queries, person.email));
      assert.equal(person.relay.of("refresh").length, 1, "refreshes");
    });
  }

  test("ahead of expiry the refresh runs behind the query", async (t) => {
    const person = await visit(t, world);
    const [tab] = await person.signedIn();
    const before = await tokenOf(tab);
    let release;
    person.relay.fate = async ({ kind }) => kind === "refresh" && new Promise((done) => (release = done));
    await tab.evaluate(() => clock.forward(50_000));
    assert.deepEqual(await ask([tab], 1), answers(1, person.email), "with the refresh unanswered");
    await until(() => release);
    assert.equal(await tokenOf(tab), before);
    release();
    await until(async () => (await tokenOf(tab)) !== before);
    assert.equal(person.relay.of("refresh").length, 1, "refreshes");
  });

  test("a new page finds the session by its cookie", async (t) => {
    const person = await visit(t, world);
    const [tab] = await person.signedIn();
    await tab.reload();
    await shows(tab, "unknown");
    assert.deepEqual(await ask([tab], queries), answers(queries, person.email));
    assert.equal(person.relay.of("refresh").length, 1, "refreshes");
  });

  test("lost answers: the refresh is repeated until one comes", async (t) => {
    const person = await visit(t, world);
    const tabs = await person.signedIn(3);
    let lost = 0;
    person.relay.fate = async ({ kind }) => (kind === "refresh" && lost++ < 2 ? "lose" : undefined);
    await Promise.all(tabs.map((tab) => tab.evaluate(() => clock.forward(61_000))));
    assert.deepEqual(await ask(tabs, queries), answers(3 * queries, person.email));
    const refreshes = person.relay.of("refresh");
    assert.equal(refreshes.length, 3, "refreshes: two lost, one answered");
    assert.equal(refreshes.filter(({ rotated }) => rotated).length, 1, "turns");
  });

  test("an answer is lost, and the tab with it, for longer than the grace", async (t) => {
    const person = await visit(t, world);
    const [tab] = await person.signedIn();
    const before = await person.refreshCookie();
    person.relay.fate = async ({ kind }) => (kind === "refresh" ? "lose" : undefined);
    await tab.evaluate(() => void app.pawl.refresh().catch(() => {}));
    await until(() => person.relay.of("refresh").length);
    await tab.close();
    assert.equal((await person.refreshCookie()).value, before.value, "the cookie, which no answer replaced");
    await person.graceOver();
    person.relay.fate = async () => {};
    const next = await person.tab();
    assert.deepEqual(await ask([next], 1), answers(1, person.email));
    assert.notEqual((await person.refreshCookie()).value, before.value);
  });
}
