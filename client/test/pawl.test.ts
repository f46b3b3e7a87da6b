// Against a real Pawl: runs when PAWL_URL names a `pawl dev` whose data may be thrown away.

import assert from "node:assert/strict";
import test from "node:test";
import { createFetch } from "../src/fetch.js";
import { createClient, memoryStorage } from "../src/index.js";
import { FakeHub, FakeLocks, FakeStorage } from "./world.js";

const server = process.env["PAWL_URL"];
const options = { skip: server ? false : "PAWL_URL is not set" };
const url = `${server}/graphql`;
const password = "correct horse battery staple";
const demo = { email: "demo@example.com", password };
const admin = { email: "admin@example.com", password };

/** A fetch as a browser's: with a cookie jar and an Origin. */
function browserFetch(): { fetch: typeof fetch; jar: Map<string, string> } {
  const jar = new Map<string, string>();
  return {
    jar,
    async fetch(input, init) {
      const headers = new Headers(init?.headers);
      headers.set("origin", "http://localhost:5173");
      if (init?.credentials === "include") headers.set("cookie", [...jar].map((pair) => pair.join("=")).join("; "));
      const response = await fetch(input, { ...init, headers });
      for (const cookie of response.headers.getSetCookie()) {
        const [name, value] = cookie.split(";")[0]!.split("=") as [string, string];
        if (/max-age=0/i.test(cookie)) jar.delete(name);
        else jar.set(name, value);
      }
      return response;
    },
  };
}

const graphql = async (send: typeof fetch, query: string): Promise<any> =>
  (await send(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ query }) })).json();

test("pawl: an app signs in, refreshes, loses an answer, restarts and signs out", options, async () => {
  const storage = new FakeStorage();
  let lose = false;
  const unreliable: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!lose) return response;
    lose = false;
    throw new TypeError("lost");
  };
  const app = createClient({ url, delivery: "BODY", storage, fetch: unreliable });
  const wrong = await app.login({ ...demo, password: "not the password" });
  assert.equal(wrong.__typename, "InvalidCredentialsError");
  const result = await app.login({ ...demo, deviceName: "test" });
  assert.equal(result.__typename, "LoginPayload");
  assert.equal(result.__typename === "LoginPayload" && result.user.email, demo.email);
  const { data } = await graphql(createFetch(app), "{ me { email } mySessions { current deviceName } }");
  assert.equal(data.me.email, demo.email);
  assert.ok(data.mySessions.some((session: any) => session.current && session.deviceName === "test"));

  lose = true;
  const state = await app.refresh();
  assert.equal(state.status, "signed-in");
  assert.ok(app.expiresIn() > 0);
  const restarted = createClient({ url, delivery: "BODY", storage });
  assert.ok(await restarted.getAccessToken());
  assert.equal(restarted.state.sessionId, app.state.sessionId);

  assert.equal((await restarted.logout()).sessionId, app.state.sessionId);
  assert.deepEqual(await app.refresh(), { status: "signed-out", reason: "MISSING" });
});

test("pawl: tabs of a browser share a session, and notice when it is another", options, async () => {
  const { fetch, jar } = browserFetch();
  const clock = { now: () => performance.now(), wall: Date.now, after: (_: number, work: () => void) => (setTimeout(work, 1), () => {}) };
  const [locks, hub] = [new FakeLocks(), new FakeHub(clock)];
  const tab = () => createClient({ url, fetch, storage: memoryStorage(), locks, channel: hub.join() });
  const [one, two] = [tab(), tab()];
  await one.login(demo);
  const states = await Promise.all([one.refresh(), two.refresh()]);
  for (const state of states) assert.equal(state.sessionId, one.state.sessionId);
  assert.ok([...jar.keys()].includes("pawl-refresh"));

  const lonely = createClient({ url, fetch, storage: memoryStorage(), sessionId: one.state.sessionId! });
  await two.login(admin);
  assert.deepEqual(await lonely.refresh(), { status: "session-changed" });
  await two.logout();
  assert.deepEqual(await tab().refresh(), { status: "signed-out", reason: "MISSING" });
});

test("pawl: a session that is revoked elsewhere ends", options, async () => {
  const [phone, laptop] = [createClient({ url, delivery: "BODY" }), createClient({ url, delivery: "BODY" })];
  await phone.login(demo);
  await laptop.login(demo);
  await graphql(createFetch(laptop), `mutation { revokeSession(input: {sessionId: "${phone.state.sessionId}"}) { sessionId } }`);
  const { errors } = await graphql(createFetch(phone), "{ me { id } }");
  assert.equal(errors[0].extensions.reason, "SESSION_REVOKED");
  assert.deepEqual(phone.state, { status: "signed-out", reason: "REVOKED" });
  await laptop.logout();
});

test("pawl: a new password", options, async () => {
  const kept = new Map<string, string>();
  const storage = {
    get: async (key: string) => kept.get(key),
    set: async (key: string, value: string) => void kept.set(key, value),
    remove: async (key: string) => void kept.delete(key),
  };
  const app = createClient({ url, delivery: "BODY", storage });
  await app.login(admin);
  const before = app.state.sessionId;
  const proof = kept.get("pawl.device");
  const weak = await app.changePassword({ currentPassword: password, newPassword: "short" });
  assert.equal(weak.__typename === "WeakPasswordError" && weak.problems[0], "TOO_SHORT");
  const newPassword = `correct horse ${crypto.randomUUID()}`;
  const changed = await app.changePassword({ currentPassword: password, newPassword });
  assert.equal(changed.__typename, "ChangePasswordPayload");
  assert.notEqual(app.state.sessionId, before);
  assert.match(kept.get("pawl.device")!, /^pawl_dt1_/);
  assert.notEqual(kept.get("pawl.device"), proof);
  assert.equal((await app.refresh()).status, "signed-in");
});
