// Several tabs of one browser. The clocks of pages are set forward: tokens of `pawl serve` live for a minute at least.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answers, ask, shows, visit } from "../world/world.mjs";

const [tabCount, queries, expiries] = [3, 5, 4];
const all = tabCount * queries * expiries;

/** All tokens expire at one moment, and every tab asks its queries at once; again and again. */
async function expireAndAsk(person, tabs) {
  const got = [];
  for (let i = 0; i < expiries; i++) {
    await person.graceOver(); // so that each expiry turns the refresh token
    await Promise.all(tabs.map((tab) => tab.evaluate(() => clock.forward(61_000))));
    got.push(...(await ask(tabs, queries)));
  }
  return got;
}

export function tabCases(world) {
  for (const app of ["apollo", "urql"]) {
    test(`${app}: 3 tabs × 5 queries × 4 expiries: 60 of 60 answers, 4 refreshes`, async (t) => {
      const person = await visit(t, world, { app });
      const tabs = await person.signedIn(tabCount);
      assert.deepEqual(await expireAndAsk(person, tabs), answers(all, person.email));
      const refreshes = person.relay.of("refresh");
      assert.equal(refreshes.length, expiries, "refreshes");
      assert.equal(refreshes.filter(({ rotated }) => rotated).length, expiries, "turns");
      assert.equal(person.relay.of("query").length, all, "queries that reached Pawl");
    });

    test(`${app} without the package: 60 of 60 answers, nobody signed out`, async (t) => {
      const person = await visit(t, world, { app, bare: true });
      const tabs = await person.signedIn(tabCount);
      await ask(tabs, 1);
      const before = person.relay.of("refresh").length;
      assert.deepEqual(await expireAndAsk(person, tabs), answers(all, person.email));
      const refreshes = person.relay.of("refresh").slice(before);
      assert.equal(refreshes.filter(({ rotated }) => rotated).length, expiries, "turns");
      assert.ok(refreshes.length > expiries * tabCount, `${refreshes.length} refreshes: the tabs did not race`);
      t.diagnostic(`${refreshes.length} refreshes, ${expiries} turns`);
    });
  }

  test("a tab that hangs in the middle of a refresh holds nobody up", async (t) => {
    const person = await visit(t, world);
    const [hung, ...others] = await person.signedIn(tabCount);
    const dialog = new Promise((done) => hung.once("dialog", done));
    person.relay.fate = async ({ kind }) => {
      if (kind !== "refresh") return;
      person.relay.fate = async () => {};
      // An open dialog stops all of a page's scripts. The answer waits behind it, and with it the lock.
      await hung.evaluate(() => void setTimeout(() => alert("busy")));
      await dialog;
    };
    await Promise.all([hung, ...others].map((tab) => tab.evaluate(() => clock.forward(61_000))));
    const late = ask([hung], queries);
    await dialog;
    assert.deepEqual(await ask(others, queries), answers(2 * queries, person.email));
    await (await dialog).accept();
    assert.deepEqual(await late, answers(queries, person.email));
    await Promise.all([hung, ...others].map((tab) => shows(tab, "signed-in")));
  });
}
