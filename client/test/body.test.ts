import assert from "node:assert/strict";
import test from "node:test";
import { memoryStorage } from "../src/index.js";
import { EXPIRY, person, World } from "./world.js";

test("the storage keeps refresh token and deviceToken; a new process goes on with them", async () => {
  const world = new World();
  const app = world.app();
  await world.clock.until(app.login(person));
  assert.equal(world.server.log[0]!.input.refreshTokenDelivery, "BODY");
  assert.equal(world.server.log[0]!.credentials, "omit");
  assert.deepEqual([...world.storage.values], [["pawl.refresh", "s1.1"], ["pawl.device", "device"]]);
  const restarted = world.app();
  assert.match((await world.clock.until(restarted.getAccessToken()))!, /^access-s1/);
  assert.equal(world.storage.values.get("pawl.refresh"), "s1.2");
  assert.equal(world.jar.cookie, undefined);
});

test("the deviceToken goes with the next login", async () => {
  const world = new World();
  const app = world.app();
  await world.clock.until(app.login(person));
  await world.clock.until(app.logout());
  await world.clock.until(app.login(person));
  assert.equal(world.server.log[0]!.input.deviceToken, null);
  assert.equal(world.server.log[2]!.input.deviceToken, "device");
});

test("the new refresh token is stored before the attempt is dropped", async () => {
  const world = new World();
  const app = world.app();
  await world.clock.until(app.login(person));
  world.storage.log.length = 0;
  await world.clock.until(app.refresh());
  assert.deepEqual(world.storage.log, ["set pawl.attempt", "set pawl.refresh", "remove pawl.attempt"]);
});

test("a storage that fails to keep the new token keeps the attempt, and the next refresh mends it", async () => {
  const world = new World();
  const app = world.app();
  await world.clock.until(app.login(person));
  const set = world.storage.set.bind(world.storage);
  world.storage.set = async (key, value) => {
    if (key === "pawl.refresh") throw new Error("disk full");
    return set(key, value);
  };
  await assert.rejects(world.clock.until(app.refresh()), { message: "disk full" });
  world.storage.set = set;
  world.clock.skip(3_600_000);
  assert.equal((await world.clock.until(app.refresh())).status, "signed-in");
  assert.equal(world.storage.values.get("pawl.refresh"), "s1.2");
});

/** A storage that takes nothing any more. */
function breakStorage(world: World): () => void {
  const { set, remove } = world.storage;
  world.storage.set = world.storage.remove = async () => {
    throw new Error("disk full");
  };
  return () => Object.assign(world.storage, { set, remove });
}

test("a sign-in and a new password that cannot be stored have happened all the same", async () => {
  const world = new World();
  const app = world.app();
  const mend = breakStorage(world);
  assert.equal((await world.clock.until(app.login(person))).__typename, "LoginPayload");
  assert.equal(app.state.sessionId, "s1");
  assert.ok(await app.getAccessToken());
  mend();
  assert.equal((await world.clock.until(app.refresh())).status, "signed-in");
  await world.clock.advance(20_000);
  const password = { currentPassword: "correct", newPassword: "correct horse battery" };
  world.server.onRequest = ({ field }) => field === "changePassword" && void breakStorage(world);
  assert.equal((await world.clock.until(app.changePassword(password))).__typename, "ChangePasswordPayload");
  assert.equal(app.state.sessionId, "s2");
  await assert.rejects(world.clock.until(app.refresh()), { message: "disk full" });
  assert.equal(app.state.status, "signed-in");
});

test("a session that could not be stored goes on when the storage does", async () => {
  const world = new World();
  const app = world.app();
  const mend = breakStorage(world);
  await world.clock.until(app.login(person));
  mend();
  await world.clock.advance(20_000);
  world.clock.skip(EXPIRY);
  assert.ok(await world.clock.until(app.getAccessToken()));
  assert.equal(world.storage.values.get("pawl.refresh"), "s1.2");
  assert.equal((await world.clock.until(world.app().refresh())).status, "signed-in");
});

test("a sign-out that cannot be stored has happened all the same", async () => {
  const world = new World();
  const app = world.app();
  await world.clock.until(app.login(person));
  breakStorage(world);
  assert.deepEqual(await world.clock.until(app.logout()), { sessionId: "s1" });
  assert.deepEqual(app.state, { status: "signed-out", reason: "LOGOUT" });
});

test("a killed app repeats the attempt that had no answer", async () => {
  const world = new World();
  const app = world.app({ patience: 1 });
  await world.clock.until(app.login(person));
  world.server.faults.push("lose");
  await assert.rejects(world.clock.until(app.refresh()));
  world.clock.skip(3_600_000);
  const restarted = world.app();
  assert.equal((await world.clock.until(restarted.refresh())).status, "signed-in");
  assert.equal(world.storage.values.get("pawl.refresh"), "s1.2");
});

test("two processes with one storage refresh at the same time", async () => {
  const world = new World();
  const one = world.app();
  await world.clock.until(one.login(person));
  const two = world.app();
  for (let round = 0; round < 5; round++) {
    world.clock.skip(EXPIRY);
    const tokens = await world.clock.until(Promise.all([one.getAccessToken(), two.getAccessToken()]));
    assert.ok(tokens.every(Boolean));
  }
  assert.equal(one.state.status, "signed-in");
  assert.equal(two.state.status, "signed-in");
});

test("without a refresh token nothing is asked", async () => {
  const world = new World();
  const app = world.app();
  assert.equal(await world.clock.until(app.getAccessToken()), null);
  assert.deepEqual(app.state, { status: "signed-out", reason: "MISSING" });
  assert.equal(world.server.log.length, 0);
  assert.equal(world.storage.values.size, 0);
});

test("logout sends the refresh token and drops it; the deviceToken stays", async () => {
  const world = new World();
  const app = world.app();
  await world.clock.until(app.login(person));
  assert.deepEqual(await world.clock.until(app.logout()), { sessionId: "s1" });
  assert.equal(world.server.log[1]!.input.refreshToken, "s1.1");
  assert.deepEqual([...world.storage.values.keys()], ["pawl.device"]);
});

test("a late end does not take the token of a newer session along", async () => {
  const world = new World();
  const one = world.app();
  await world.clock.until(one.login(person));
  world.server.end("s1");
  world.server.latency = 1000;
  const late = one.refresh();
  await world.clock.advance(600);
  world.server.latency = 0;
  const two = world.app();
  await world.clock.until(two.login(person));
  await world.clock.until(late);
  assert.equal(world.storage.values.get("pawl.refresh"), "s2.1");
});

test("the access token is in no storage", async () => {
  const world = new World();
  const app = world.app();
  await world.clock.until(app.login(person));
  await world.clock.until(app.refresh());
  for (const value of world.storage.values.values()) assert.doesNotMatch(value, /access/);
});

test("without a storage the session lives as long as the process", async () => {
  const world = new World();
  const app = world.app({ storage: memoryStorage() });
  await world.clock.until(app.login(person));
  world.clock.skip(EXPIRY);
  assert.ok(await world.clock.until(app.getAccessToken()));
  assert.equal(await world.clock.until(world.app({ storage: memoryStorage() }).getAccessToken()), null);
});
