import assert from "node:assert/strict";
import test from "node:test";
import { createClient } from "../src/index.js";
import { EXPIRY, person, World } from "./world.js";

test("a page that begins finds out by its first refresh whether there is a session", async () => {
  const world = new World();
  await world.signedIn(1);
  const reloaded = world.tab({ channel: null });
  assert.match((await world.clock.until(reloaded.getAccessToken()))!, /^access-s1/);
  assert.equal(reloaded.state.status, "signed-in");

  const stranger = new World();
  const tab = stranger.tab();
  assert.equal(await stranger.clock.until(tab.getAccessToken()), null);
  assert.deepEqual(tab.state, { status: "signed-out", reason: "MISSING" });
  assert.equal(await tab.getAccessToken(), null);
  assert.equal(stranger.server.log.length, 1, "a tab that knows that nobody is signed in asks no more");
});

test("single flight: callers at the same time share one refresh", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.clock.skip(EXPIRY);
  const tokens = await world.clock.until(Promise.all([1, 2, 3, 4, 5].map(() => tab!.getAccessToken())));
  assert.equal(world.server.count("refreshToken"), 1);
  assert.equal(new Set(tokens).size, 1);
  const states = await world.clock.until(Promise.all([tab!.refresh(), tab!.refresh()]));
  assert.equal(states[0], states[1]);
  assert.equal(world.server.count("refreshToken"), 2);
});

test("each refresh carries the session the tab believes in", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  await world.clock.until(tab!.refresh());
  assert.equal(world.server.log[0]!.input.sessionId, "s1");
  const rendered = world.tab({ sessionId: "s1", channel: null });
  await world.clock.until(rendered.refresh());
  assert.equal(world.server.log[1]!.input.sessionId, "s1");
});

test("ahead of expiry the old token is handed out at once while a refresh runs behind", async () => {
  const world = new World();
  const tab = world.tab();
  await world.clock.until(tab.login(person));
  const first = await tab.getAccessToken();
  world.clock.skip(EXPIRY - 62_000);
  assert.equal(await tab.getAccessToken(), first);
  assert.equal(world.server.count("refreshToken"), 0, "too early");
  world.clock.skip(3_000);
  assert.equal(await tab.getAccessToken(), first);
  await world.clock.advance(100);
  assert.equal(world.server.count("refreshToken"), 1);
  assert.notEqual(await tab.getAccessToken(), first);
});

test("a short-lived token is renewed in the last fifth of its life", async () => {
  const world = new World();
  world.server.lifetime = 100;
  const tab = world.tab();
  await world.clock.until(tab.login(person));
  for (const [passed, refreshes] of [[79, 0], [2, 1]] as const) {
    world.clock.skip(passed * 1000);
    await tab.getAccessToken();
    await world.clock.advance(0);
    assert.equal(world.server.count("refreshToken"), refreshes);
  }
});

test("a wall clock that is set costs a refresh at most", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  const token = await tab!.getAccessToken();
  world.clock.sleep(-3_600_000);
  assert.equal(await tab!.getAccessToken(), token);
  assert.equal(world.server.count("refreshToken"), 0, "set back");
  world.clock.skip(EXPIRY);
  assert.notEqual(await world.clock.until(tab!.getAccessToken()), token, "the other clock counts as well");
  world.clock.sleep(86_400_000);
  for (let i = 0; i < 3; i++) assert.ok(await world.clock.until(tab!.getAccessToken()));
  assert.equal(world.server.count("refreshToken"), 2);
});

test("a tab that was frozen hands out no token that died meanwhile", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  const old = await tab!.getAccessToken();
  world.clock.sleep(EXPIRY);
  assert.equal(tab!.expiresIn(), 0);
  assert.notEqual(await world.clock.until(tab!.getAccessToken()), old);
  assert.equal(world.server.count("refreshToken"), 1);
});

test("a tab that is frozen while its refresh is answered asks again", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.clock.skip(EXPIRY);
  let first = true;
  world.server.onRequest = () => {
    if (first) world.clock.sleep(3_600_000);
    first = false;
  };
  assert.equal(await world.clock.until(tab!.getAccessToken()), "access-s1-3");
  assert.equal(world.server.count("refreshToken"), 2);
});

test("news that waited until the tab woke are as old as they are", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2);
  await world.clock.until(one!.refresh());
  const stale = await one!.getAccessToken();
  world.clock.sleep(EXPIRY);
  await world.clock.advance(10);
  assert.equal(two!.expiresIn(), 0);
  const token = await world.clock.until(two!.getAccessToken());
  assert.ok(token && token !== stale);
  assert.equal(world.server.count("refreshToken"), 2);
});

test("without a clock of its own the client measures with performance.now and Date.now", async (t) => {
  const world = new World();
  let now = 5000;
  let wall = 1_700_000_000_000;
  t.mock.method(performance, "now", () => now);
  t.mock.method(Date, "now", () => wall);
  const { fetch, storage } = world;
  const client = createClient({ url: "https://pawl.test/graphql", fetch, storage, locks: null, channel: null });
  await world.clock.until(client.login(person));
  now += 400_000;
  assert.equal(Math.round(client.expiresIn()), 500);
  wall += 600_000;
  assert.equal(Math.round(client.expiresIn()), 300);
});

test("after a sleep in which both clocks stood still the server's refusal counts", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  const old = await tab!.getAccessToken();
  world.server.expire();
  assert.equal(await tab!.getAccessToken(), old, "the tab cannot know");
  const fresh = await world.clock.until(tab!.getAccessToken({ rejected: old! }));
  assert.notEqual(fresh, old);
  assert.equal(world.server.count("refreshToken"), 1);
  assert.equal(await tab!.getAccessToken({ rejected: old! }), fresh, "refused before, replaced since");
  assert.equal(world.server.count("refreshToken"), 1);
});

test("after a reset the tab hears of the same session again", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2);
  one!.reset();
  await world.clock.until(one!.refresh());
  await world.clock.until(two!.refresh());
  await world.clock.advance(10);
  assert.equal(await one!.getAccessToken(), await two!.getAccessToken());
});

test("after a reset the answer to an earlier refresh is the past", async () => {
  const world = new World();
  world.server.latency = 1000;
  const slow = world.tab({ locks: null, channel: null });
  await world.clock.until(slow.login(person));
  await world.clock.advance(20_000);
  const late = slow.refresh();
  await world.clock.advance(600);
  slow.reset();
  const next = slow.refresh();
  assert.equal((await world.clock.until(late)).status, "unknown");
  assert.equal((await world.clock.until(next)).status, "signed-in");
});
