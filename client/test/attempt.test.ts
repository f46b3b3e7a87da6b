import assert from "node:assert/strict";
import test from "node:test";
import type { PawlClient } from "../src/index.js";
import { tabStorage } from "../src/storage.js";
import { createVault } from "../src/vault.js";
import { EXPIRY, FakeStorage, person, World } from "./world.js";

test("an attempt is 22 to 64 URL-safe characters, new for each refresh", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  for (let i = 0; i < 50; i++) await world.clock.until(tab!.refresh());
  const ids = world.server.log.map(({ input }) => input.attemptId);
  assert.equal(new Set(ids).size, 50);
  for (const id of ids) assert.match(id, /^[A-Za-z0-9._~-]{22,64}$/);
});

test("it is stored before the request goes out, and dropped when the answer came", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  const stored: unknown[] = [];
  world.server.onRequest = ({ input }) => {
    assert.equal(world.storage.values.get("pawl.attempt"), input.attemptId);
    stored.push(input.attemptId);
  };
  await world.clock.until(tab!.refresh());
  assert.equal(stored.length, 1);
  assert.equal(world.storage.values.size, 0);
});

test("it is repeated until an answer came, by other tabs and after a reload too", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.clock.skip(EXPIRY);
  world.server.faults.push("lose", "refuse", "lose");
  const wanted = tab!.getAccessToken();
  await world.clock.advance(1400);
  const id = world.storage.values.get("pawl.attempt");
  assert.ok(id);
  const reloaded = world.tab({ locks: null, channel: null });
  await world.clock.until(Promise.all([wanted, reloaded.getAccessToken()]));
  const ids = world.server.log.map(({ input }) => input.attemptId);
  assert.ok(ids.length >= 4, `got ${ids.length} refreshes`);
  assert.equal(ids.filter((other) => other === id).length >= 4, true);
  assert.equal(tab!.state.status, "signed-in");
  assert.equal(world.storage.values.size, 0);
});

test("an answer that is lost for an hour costs nothing", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1, { patience: 1 });
  world.server.faults.push("lose");
  await assert.rejects(world.clock.until(tab!.refresh()), { code: "NETWORK_ERROR" });
  world.clock.skip(3_600_000);
  const reloaded = world.tab({ channel: null });
  assert.equal((await world.clock.until(reloaded.refresh())).status, "signed-in");
  assert.equal(world.server.log[0]!.input.attemptId, world.server.log[1]!.input.attemptId);
});

test("SESSION_CHANGED leaves the attempt alone: it may be another tab's", async () => {
  const world = new World();
  const old = world.tab({ channel: null, patience: 1 });
  await world.clock.until(old.login(person));
  const newer = world.tab({ channel: null, patience: 1 });
  await world.clock.until(newer.login(person));
  await world.clock.advance(20_000);
  world.server.faults.push("lose");
  await assert.rejects(world.clock.until(newer.refresh()));
  world.clock.skip(20_000);
  assert.equal((await world.clock.until(old.refresh())).status, "session-changed");
  const reloaded = world.tab({ channel: null });
  assert.equal((await world.clock.until(reloaded.refresh())).status, "signed-in");
});

test("an answer drops its own attempt and no other; a sign-in drops whatever waits", async () => {
  const storage = new FakeStorage();
  const vault = createVault(storage, "pawl", false);
  const first = await vault.attempt();
  storage.values.set("pawl.attempt", "of another tab");
  await vault.settle(first, null);
  assert.equal(storage.values.get("pawl.attempt"), "of another tab");
  assert.equal(await vault.attempt(), "of another tab");
  await vault.begin({ refreshToken: null });
  assert.equal(storage.values.size, 0);
  assert.notEqual(await vault.attempt(), "of another tab");
});

test("a COOKIE session's tokens are in no storage, whatever happens", async () => {
  const world = new World();
  const spied: string[] = [];
  const storage = {
    get: (key: string) => world.storage.get(key),
    set: (key: string, value: string) => (spied.push(`${key}=${value}`), world.storage.set(key, value)),
    remove: (key: string) => world.storage.remove(key),
  };
  const tab = world.tab({ storage });
  await world.clock.until(tab.login(person));
  world.clock.skip(EXPIRY);
  await world.clock.until(tab.getAccessToken());
  await world.clock.until(tab.changePassword({ currentPassword: "correct", newPassword: "correct horse battery" }));
  await world.clock.until(tab.logout());
  assert.ok(spied.length > 0);
  for (const write of spied) assert.match(write, /^pawl\.attempt=[\d-]+$/);
});

test("an attempt that was used already is replaced, stored and sent once more", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2, { locks: null, channel: null, patience: 1 });
  await world.clock.until(one!.refresh());
  const used = world.server.log[0]!.input.attemptId;
  await world.clock.advance(20_000);
  world.storage.values.set("pawl.attempt", used);
  world.server.log.length = 0;
  world.server.onRequest = ({ input }) => assert.equal(world.storage.values.get("pawl.attempt"), input.attemptId);
  assert.equal((await world.clock.until(two!.refresh())).status, "signed-in");
  const ids = world.server.log.map(({ input }) => input.attemptId);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], used);
  assert.notEqual(ids[1], used);
  assert.equal(world.storage.values.size, 0);
});

test("a tab whose attempt was settled by another goes on with a new one", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2, { locks: null, channel: null, patience: 1 });
  world.server.faults.push("refuse");
  await assert.rejects(world.clock.until(two!.refresh()), { code: "NETWORK_ERROR" });
  await world.clock.until(one!.refresh());
  await world.clock.advance(20_000);
  assert.equal((await world.clock.until(two!.refresh())).status, "signed-in");
  assert.equal((await world.clock.until(one!.refresh())).status, "signed-in");
});

test("what somebody else put into the place of an attempt is replaced", async () => {
  const world = new World();
  const app = world.app();
  await world.clock.until(app.login(person));
  world.storage.values.set("pawl.attempt", "x");
  assert.equal((await world.clock.until(app.refresh())).status, "signed-in");
  assert.equal(world.storage.values.get("pawl.refresh"), "s1.2");
});

test("attempts that are refused again and again are told, not repeated, and end nothing", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  const extensions = { code: "BAD_USER_INPUT", field: "attemptId" };
  const refused = { body: { data: { result: null }, errors: [{ message: "used", extensions }] } };
  world.server.faults.push(refused, refused, refused);
  await assert.rejects(world.clock.until(tab!.refresh()), { code: "BAD_USER_INPUT", field: "attemptId" });
  assert.equal(world.server.log.length, 2);
  assert.equal(tab!.state.status, "signed-in");
  world.server.faults.length = 0;
  assert.equal((await world.clock.until(tab!.refresh())).status, "signed-in");
});

test("every refresh has an attempt", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  const app = world.app();
  const requests = async (client: PawlClient) => {
    await world.clock.until(client.refresh());
    world.clock.skip(EXPIRY);
    await world.clock.until(client.getAccessToken());
    await world.clock.until(client.getAccessToken({ rejected: (await client.getAccessToken())! }));
    await world.clock.until(client.changePassword({ currentPassword: "correct", newPassword: "correct horse battery" }));
    await world.clock.until(client.logout());
  };
  await requests(tab!);
  await world.clock.until(app.login(person));
  await requests(app);
  const refreshes = world.server.log.filter(({ field }) => field === "refreshToken");
  assert.ok(refreshes.length >= 8, `got ${refreshes.length}`);
  for (const { input } of refreshes) assert.match(input.attemptId, /^[\d-]{22,64}$/);
});

test("localStorage keeps the attempt of a window; where it is refused, the memory does", async (t) => {
  const values = new Map<string, string>();
  const localStorage = {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => void values.set(key, value),
    removeItem: (key: string) => void values.delete(key),
  };
  Object.assign(globalThis, { localStorage });
  t.after(() => delete (globalThis as any).localStorage);
  tabStorage().set("a", "1");
  assert.equal(values.get("a"), "1");
  assert.equal(tabStorage().get("a"), "1");
  tabStorage().remove("a");
  assert.equal(values.size, 0);

  localStorage.setItem = () => {
    throw new Error("quota");
  };
  const world = new World();
  const [tab] = await world.signedIn(1, { storage: tabStorage() });
  world.server.faults.push("lose");
  await world.clock.until(tab!.refresh());
  const ids = world.server.log.map(({ input }) => input.attemptId);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
});
