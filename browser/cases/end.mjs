// How sessions end, and what other tabs see of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answers, ask, login, refused, shows, visit } from "../world/world.mjs";

export function endCases(world) {
  test("signing out in one tab ends it in all", async (t) => {
    const person = await visit(t, world);
    const tabs = await person.signedIn(3);
    const token = await tabs[2].evaluate(() => app.pawl.getAccessToken());
    await tabs[0].evaluate(() => app.pawl.logout().then(() => {}));
    await Promise.all(tabs.map((tab) => shows(tab, "signed-out LOGOUT")));
    assert.equal(await refused(person.server, token), "SESSION_REVOKED");
    assert.equal(await person.refreshCookie(), undefined);
    const after = await ask(tabs, 1);
    assert.ok(!after.includes(person.email), `answered after the end: ${after}`);
    assert.equal(person.relay.of("refresh").length, 0, "refreshes");
  });

  test("another tab signs in as somebody else: the page knows at once", async (t) => {
    const person = await visit(t, world);
    const [one, two] = await person.signedIn(2);
    const other = await person.server.addUser();
    await login(two, other);
    await shows(one, "session-changed");
    assert.match(String(await ask([one], 1)), /SESSION_CHANGED/);
    assert.deepEqual(await ask([two], 1), [other]);
    await one.reload();
    assert.deepEqual(await ask([one], 1), [other]);
  });

  test("a page of another origin signs in as somebody else: the next refresh tells", async (t) => {
    const person = await visit(t, world);
    const [one] = await person.signedIn();
    const elsewhere = await person.tab(world.origins[1]);
    const other = await person.server.addUser();
    await login(elsewhere, other);
    await shows(one, "signed-in");
    await one.evaluate(() => clock.forward(61_000));
    assert.match(String(await ask([one], 1)), /SESSION_CHANGED/);
    await shows(one, "session-changed");
    const [refresh] = person.relay.of("refresh");
    assert.match(refresh.text, /"SESSION_CHANGED"/);
    assert.ok(!refresh.setCookie, "the answer set a cookie");
    assert.deepEqual(await ask([elsewhere], 1), [other]);
  });

  test("a session that is revoked elsewhere ends with its next request", async (t) => {
    const person = await visit(t, world);
    const [tab] = await person.signedIn();
    const { sessionId } = await tab.evaluate(() => app.pawl.state);
    assert.deepEqual(await ask([tab], 1), answers(1, person.email));
    await person.server.revoke(sessionId);
    const after = await ask([tab], 1);
    assert.notDeepEqual(after, answers(1, person.email));
    await shows(tab, "signed-out REVOKED");
  });
}
