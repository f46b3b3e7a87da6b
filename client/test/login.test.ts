import assert from "node:assert/strict";
import test from "node:test";
import { PawlError, type State } from "../src/index.js";
import { EXPIRY, person, World } from "./world.js";

test("a login answers with user and session, and with no token", async () => {
  const world = new World();
  const tab = world.tab();
  const result = await world.clock.until(tab.login({ ...person, deviceName: "Ann's laptop" }));
  assert.equal(result.__typename, "LoginPayload");
  assert.deepEqual(Object.keys(result).sort(), ["__typename", "session", "user"]);
  assert.deepEqual(tab.state, { status: "signed-in", sessionId: "s1", rotations: 0 });
  await world.clock.until(tab.refresh());
  assert.deepEqual(tab.state, { status: "signed-in", sessionId: "s1", rotations: 1 });
  await world.clock.until(tab.login(person));
  assert.deepEqual(tab.state, { status: "signed-in", sessionId: "s2", rotations: 0 });
  assert.deepEqual(world.server.log[0]!.input, { ...person, deviceName: "Ann's laptop" });
  assert.equal(world.server.log[0]!.credentials, "include");
  assert.match((await tab.getAccessToken())!, /^access-s2/);
});

test("wrong credentials and too many attempts are results, and change nothing", async () => {
  const world = new World();
  const tab = world.tab();
  const wrong = await world.clock.until(tab.login({ ...person, password: "wrong" }));
  assert.deepEqual(wrong, { __typename: "InvalidCredentialsError", message: "no" });
  const often = await world.clock.until(tab.login({ ...person, password: "often" }));
  assert.deepEqual(often, { __typename: "TooManyAttemptsError", message: "wait", retryAfter: 30 });
  assert.equal(tab.state.status, "unknown");
});

test("a login without an answer throws a PawlError at once", async () => {
  const world = new World();
  const tab = world.tab();
  world.server.faults.push("refuse");
  await assert.rejects(world.clock.until(tab.login(person)), (error: PawlError) => {
    assert.ok(error instanceof PawlError);
    assert.equal(error.code, "NETWORK_ERROR");
    assert.equal((error.cause as Error).message, "connection refused");
    return true;
  });
  const body = { errors: [{ message: "too long", extensions: { code: "BAD_USER_INPUT", field: "email" } }] };
  world.server.faults.push({ body });
  await assert.rejects(world.clock.until(tab.login(person)), { code: "BAD_USER_INPUT", field: "email", message: "too long" });
  assert.equal(world.server.count("login"), 2);
});

test("listeners hear of sign-in, refresh and sign-out; one that throws harms nobody", async (t) => {
  const world = new World();
  const tab = world.tab();
  const heard: [State["status"], State["status"]][] = [];
  const thrown: unknown[] = [];
  const later = globalThis.queueMicrotask;
  t.mock.method(globalThis, "queueMicrotask", (work: () => void) =>
    later(() => {
      try {
        work();
      } catch (error) {
        thrown.push((error as Error).message);
      }
    }),
  );
  tab.subscribe(() => {
    throw new Error("of the application");
  });
  const stop = tab.subscribe((state, previous) => heard.push([previous.status, state.status]));
  await world.clock.until(tab.login(person));
  await world.clock.until(tab.refresh());
  await world.clock.until(tab.logout());
  await world.clock.advance(1);
  assert.deepEqual(heard, [
    ["unknown", "signed-in"],
    ["signed-in", "signed-in"],
    ["signed-in", "signed-out"],
  ]);
  assert.deepEqual(thrown, Array(3).fill("of the application"));
  stop();
  await world.clock.until(tab.login(person));
  assert.equal(heard.length, 3);
});

test("a new password: a weak one is a result, a good one moves all tabs to the new session", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2);
  const unknown = world.tab();
  const weak = await world.clock.until(one!.changePassword({ currentPassword: "correct", newPassword: "short" }));
  assert.deepEqual(weak, { __typename: "WeakPasswordError", message: "too short", problems: ["TOO_SHORT"] });
  const strong = { currentPassword: "correct", newPassword: "correct horse battery" };
  const changed = await world.clock.until(one!.changePassword(strong));
  assert.deepEqual(Object.keys(changed).sort(), ["__typename", "revokedSessionIds", "session"]);
  await world.clock.advance(10);
  for (const tab of [one!, two!, unknown]) assert.equal(tab.state.sessionId, "s2");
  await world.clock.until(two!.refresh());
  assert.equal(two!.state.sessionId, "s2");
});

test("a new password goes out once, with a new access token", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.server.expire();
  const strong = { currentPassword: "correct", newPassword: "correct horse battery" };
  const changed = await world.clock.until(tab!.changePassword(strong));
  assert.equal(changed.__typename, "ChangePasswordPayload");
  assert.deepEqual(
    world.server.log.map(({ field }) => field),
    ["refreshToken", "changePassword"],
  );
});

test("a new password is not sent a second time", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.server.onRequest = ({ field }) => field === "changePassword" && world.server.expire();
  const strong = { currentPassword: "correct", newPassword: "correct horse battery" };
  await assert.rejects(world.clock.until(tab!.changePassword(strong)), { code: "UNAUTHENTICATED", reason: "TOKEN_EXPIRED" });
  assert.equal(world.server.count("changePassword"), 1);
});

test("a login without an answer, then one with", async () => {
  const world = new World();
  const tab = world.tab();
  world.server.faults.push("lose");
  await assert.rejects(world.clock.until(tab.login(person)));
  await world.clock.until(tab.login(person));
  assert.equal(tab.state.sessionId, "s2");
});

test("a slow answer has cost a token some of its life", async () => {
  const world = new World();
  world.server.latency = 6000;
  const tab = world.tab();
  await world.clock.until(tab.login(person));
  assert.ok(Math.abs(tab.expiresIn() - 894) < 0.1, `got ${tab.expiresIn()}`);
});

test("expiresIn counts down", async () => {
  const world = new World();
  const tab = world.tab();
  assert.equal(tab.expiresIn(), 0);
  await world.clock.until(tab.login(person));
  assert.ok(Math.abs(tab.expiresIn() - 900) < 1, `got ${tab.expiresIn()}`);
  world.clock.skip(300_000);
  assert.ok(Math.abs(tab.expiresIn() - 600) < 1, `got ${tab.expiresIn()}`);
  world.clock.skip(EXPIRY);
  assert.equal(tab.expiresIn(), 0);
});
