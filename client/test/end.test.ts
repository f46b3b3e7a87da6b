import assert from "node:assert/strict";
import test from "node:test";
import { EXPIRY, person, World } from "./world.js";

const invalid = (reason: string) => ({
  body: {
    data: { result: null },
    errors: [{ message: "sign in again", extensions: { code: "REFRESH_TOKEN_INVALID", reason } }],
  },
});

for (const reason of ["MISSING", "MALFORMED", "EXPIRED", "REVOKED", "UNKNOWN", "BINDING"]) {
  test(`REFRESH_TOKEN_INVALID ${reason} ends the session in all tabs, without another try`, async () => {
    const world = new World();
    const [one, two] = await world.signedIn(2);
    world.clock.skip(EXPIRY);
    world.server.faults.push(invalid(reason));
    assert.equal(await world.clock.until(one!.getAccessToken()), null);
    await world.clock.advance(10);
    for (const tab of [one!, two!]) {
      assert.deepEqual(tab.state, { status: "signed-out", reason });
      assert.equal(await tab.getAccessToken(), null);
    }
    assert.equal(world.server.log.length, 1);
    assert.equal(world.storage.values.size, 0);
  });
}

test("REFRESH_TOKEN_REUSED ends the session in all tabs; the tokens are dropped", async () => {
  const world = new World();
  const app = world.app({ channel: world.hub.join() });
  const other = world.app({ channel: world.hub.join() });
  await world.clock.until(app.login(person));
  await world.clock.advance(10);
  assert.equal(other.state.status, "signed-in");
  const copy = world.storage.values.get("pawl.refresh")!;
  await world.clock.until(app.refresh());
  world.clock.skip(EXPIRY);
  world.storage.values.set("pawl.refresh", copy);
  assert.deepEqual(await world.clock.until(app.refresh()), { status: "signed-out", reason: "REUSED" });
  await world.clock.advance(10);
  assert.deepEqual(other.state, { status: "signed-out", reason: "REUSED" });
  assert.deepEqual([...world.storage.values.keys()], ["pawl.device"]);
});

test("a revoked session: one refresh is tried, then it is over", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.server.end("s1");
  const rejected = (await tab!.getAccessToken())!;
  assert.equal(await world.clock.until(tab!.getAccessToken({ rejected })), null);
  assert.deepEqual(tab!.state, { status: "signed-out", reason: "REVOKED" });
  assert.equal(world.server.count("refreshToken"), 1);
});

test("after the end a login begins anew", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2);
  await world.clock.until(one!.logout());
  await world.clock.advance(10);
  await world.clock.until(one!.login(person));
  await world.clock.advance(10);
  assert.equal(one!.state.sessionId, "s2");
  assert.equal(two!.state.sessionId, "s2");
  world.clock.skip(EXPIRY);
  assert.ok(await world.clock.until(two!.getAccessToken()));
});

test("the end of a session that this tab has left already is no news", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2, { locks: null });
  world.server.latency = 1000;
  const late = two!.refresh();
  await world.clock.advance(10);
  world.server.latency = 20;
  await world.clock.until(one!.login(person));
  await world.clock.advance(10);
  assert.deepEqual(await world.clock.until(late), { status: "session-changed" });
});
