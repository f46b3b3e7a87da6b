import assert from "node:assert/strict";
import test from "node:test";
import { type PawlClient, PawlError } from "../src/index.js";
import { EXPIRY, World } from "./world.js";

const unavailable = (retryAfter?: number) => ({
  body: { data: { result: null }, errors: [{ message: "later", extensions: { code: "UNAVAILABLE", retryAfter } }] },
});

async function expired(options = {}): Promise<{ world: World; tab: PawlClient; gaps: number[] }> {
  const world = new World();
  const [tab] = await world.signedIn(1, options);
  world.clock.skip(EXPIRY);
  const gaps: number[] = [];
  let last = world.clock.now();
  world.server.onRequest = () => {
    gaps.push(world.clock.now() - last);
    last = world.clock.now();
  };
  return { world, tab: tab!, gaps };
}

test("network errors are tried again after pauses that grow and differ", async () => {
  const { world, tab, gaps } = await expired({ patience: 100_000 });
  world.server.faults.push("refuse", "refuse", "refuse", "refuse", "refuse", "refuse");
  assert.ok(await world.clock.until(tab.getAccessToken()));
  const bounds = [1, 2, 4, 8, 16, 16].map((seconds) => seconds * 1000);
  assert.equal(gaps.length, 7);
  bounds.forEach((bound, i) => {
    const gap = gaps[i + 1]!;
    assert.ok(gap >= bound / 2 && gap <= bound, `pause ${i}: got ${gap}, want ${bound / 2} to ${bound}`);
  });
  assert.notEqual(gaps[5], gaps[6], "no jitter");

  world.clock.skip(EXPIRY);
  world.server.faults.push("refuse");
  assert.ok(await world.clock.until(tab.getAccessToken()));
  assert.ok(gaps.at(-1)! <= 1000, `a new outage begins with a short pause, got ${gaps.at(-1)}`);
});

test("UNAVAILABLE and RATE_LIMITED: retryAfter is honoured", async () => {
  const { world, tab, gaps } = await expired();
  const limited = { message: "slow", extensions: { code: "RATE_LIMITED", retryAfter: 5 } };
  world.server.faults.push(unavailable(3), { status: 429, body: { errors: [limited] } });
  assert.ok(await world.clock.until(tab.getAccessToken()));
  assert.ok(gaps[1]! >= 3000 && gaps[1]! < 3700, `got ${gaps[1]}`);
  assert.ok(gaps[2]! >= 5000 && gaps[2]! < 6100, `got ${gaps[2]}`);
});

test("the pause that the server asked for holds for the next caller, too", async () => {
  const { world, tab } = await expired();
  world.server.faults.push(unavailable(60));
  const failed = { code: "UNAVAILABLE", retryAfter: 60 };
  await assert.rejects(world.clock.until(tab.getAccessToken()), failed);
  await assert.rejects(world.clock.until(tab.getAccessToken()), failed);
  assert.equal(world.server.log.length, 1);
  world.clock.skip(72_000);
  assert.ok(await world.clock.until(tab.getAccessToken()));
});

test("an error page of a proxy, an answer without data, an internal error: all pass", async () => {
  const { world, tab } = await expired();
  const internal = { message: "oh", extensions: { code: "INTERNAL_SERVER_ERROR" } };
  world.server.faults.push(
    { status: 502, type: "text/html", body: "<h1>Bad gateway</h1>" },
    { body: { data: { result: null } } },
    { body: { data: { result: null }, errors: [internal] } },
  );
  assert.ok(await world.clock.until(tab.getAccessToken()));
  assert.equal(world.server.log.length, 4);
});

test("nothing is concluded from an outage: the error says what it is, the session stays", async () => {
  const { world, tab } = await expired();
  world.server.faults.push(...Array(100).fill("refuse"));
  const before = world.clock.now();
  await assert.rejects(world.clock.until(tab.getAccessToken()), (error) => {
    assert.ok(error instanceof PawlError);
    assert.equal(error.code, "NETWORK_ERROR");
    return true;
  });
  assert.ok(world.clock.now() - before <= 30_000, "longer than its patience");
  assert.equal(tab.state.status, "signed-in");
  assert.ok(world.storage.values.has("pawl.attempt"));
  world.server.faults.length = 0;
  assert.ok(await world.clock.until(tab.getAccessToken()));
});

test("a refresh ahead of expiry that fails disturbs nobody", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.clock.skip(EXPIRY - 80_000 + 25_000);
  world.server.faults.push(...Array(100).fill("refuse"));
  const token = await tab!.getAccessToken();
  await world.clock.advance(32_000);
  assert.ok(world.server.log.length > 1);
  assert.equal(await tab!.getAccessToken(), token);
});

test("a try that hangs is given up after half the grace, and repeated with its attempt", async () => {
  const { world, tab, gaps } = await expired();
  world.server.faults.push("hang");
  assert.ok(await world.clock.until(tab.getAccessToken()));
  assert.ok(gaps[1]! >= 5000 && gaps[1]! <= 6100, `got ${gaps[1]}`);
  assert.equal(world.server.log[0]!.input.attemptId, world.server.log[1]!.input.attemptId);
});

test("a mistake of the page is told and not repeated, and ends nothing", async () => {
  const { world, tab } = await expired();
  const crossOrigin = { message: "not listed", extensions: { code: "CROSS_ORIGIN_REQUEST" } };
  world.server.faults.push({ status: 403, body: { errors: [crossOrigin] } });
  await assert.rejects(world.clock.until(tab.getAccessToken()), { code: "CROSS_ORIGIN_REQUEST" });
  assert.equal(world.server.log.length, 1);
  assert.equal(tab.state.status, "signed-in");
});

test("a logout that is not answered changes nothing", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.server.faults.push("refuse");
  await assert.rejects(world.clock.until(tab!.logout()), { code: "NETWORK_ERROR" });
  assert.equal(tab!.state.status, "signed-in");
  await world.clock.until(tab!.logout());
  assert.equal(tab!.state.status, "signed-out");
});

test("callers at the same time share a failure, too", async () => {
  const { world, tab } = await expired();
  world.server.faults.push(...Array(100).fill("refuse"));
  const before = world.clock.now();
  const results = await world.clock.until(Promise.allSettled([1, 2, 3, 4, 5].map(() => tab.getAccessToken())));
  assert.ok(results.every(({ status }) => status === "rejected"));
  assert.ok(world.clock.now() - before <= 30_000, `took ${world.clock.now() - before} ms`);
});
