import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { createClient, type PawlClient } from "../src/index.js";
import { EXPIRY, person, World } from "./world.js";

const wake = (world: World, tabs: PawlClient[]) =>
  world.clock.until(Promise.all(tabs.flatMap((tab) => [1, 2, 3, 4, 5].map(() => tab.getAccessToken()))));

/** The request on its way arrives at once; its answer will take long. */
async function slowAnswer(world: World): Promise<void> {
  await world.clock.advance(5);
  world.server.latency = 1000;
  await world.clock.advance(7);
  world.server.latency = 20;
}

test("three tabs that wake together make one refresh, four times over", async () => {
  const world = new World();
  const tabs = await world.signedIn(3);
  for (let round = 1; round <= 4; round++) {
    world.clock.skip(EXPIRY);
    const tokens = await wake(world, tabs);
    assert.equal(world.server.count("refreshToken"), round);
    assert.equal(tokens.length, 15);
    assert.equal(new Set(tokens).size, 1);
  }
});

test("a token that is slower than the lock is waited for, a moment", async () => {
  const world = new World();
  const tabs = await world.signedIn(2);
  const slow = world.hub.join();
  slow.postMessage = () => {};
  world.clock.skip(EXPIRY);
  const tokens = await wake(world, tabs);
  assert.equal(new Set(tokens).size, 1);
  assert.equal(world.server.count("refreshToken"), 1);
});

test("without locks nobody is signed out", async () => {
  const world = new World();
  const tabs = await world.signedIn(3, { locks: null });
  for (let round = 0; round < 4; round++) {
    world.clock.skip(EXPIRY);
    assert.ok((await wake(world, tabs)).every(Boolean));
  }
  for (const tab of tabs) assert.equal(tab.state.status, "signed-in");
});

test("without channels nobody is signed out", async () => {
  const world = new World();
  const tabs = await world.signedIn(3, { channel: null });
  for (let round = 1; round <= 4; round++) {
    world.clock.skip(EXPIRY);
    assert.ok((await wake(world, tabs)).every(Boolean));
  }
  for (const tab of tabs) assert.equal(tab.state.status, "signed-in");
});

test("without locks and channels, and with lost answers, nobody is signed out", async () => {
  const world = new World();
  const tabs = await world.signedIn(3, { locks: null, channel: null });
  for (let round = 0; round < 8; round++) {
    world.clock.skip(EXPIRY);
    world.server.faults.push(...(["lose", "lose", "refuse", "lose"] as const).slice(round % 4));
    assert.ok((await wake(world, tabs)).every(Boolean));
  }
  for (const tab of tabs) assert.equal(tab.state.status, "signed-in");
});

test("a tab that hangs with the lock in its hand holds the others up for a while only", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1, { timeout: 50 });
  world.locks.hang("pawl");
  world.clock.skip(EXPIRY);
  let token: string | null | undefined;
  tab!.getAccessToken().then((answer) => (token = answer));
  // The wait for a lock is timed by the machine.
  for (const end = Date.now() + 20_000; !token && Date.now() < end; ) {
    await new Promise((done) => setTimeout(done, 10));
    await world.clock.advance(100);
  }
  assert.match(token ?? "none", /^access-s1/);
});

test("locks that a browser refuses are done without", async () => {
  const world = new World();
  const locks = { request: () => Promise.reject(new Error("SecurityError")) };
  const tab = world.tab({ locks });
  await world.clock.until(tab.login(person));
  assert.equal(tab.state.status, "signed-in");
});

test("sign-out in one tab signs out all tabs", async () => {
  const world = new World();
  const tabs = await world.signedIn(3);
  const result = await world.clock.until(tabs[0]!.logout());
  assert.deepEqual(result, { sessionId: "s1" });
  await world.clock.advance(10);
  for (const tab of tabs) {
    assert.deepEqual(tab.state, { status: "signed-out", reason: "LOGOUT" });
    assert.equal(await tab.getAccessToken(), null);
  }
  assert.equal(world.server.log.length, 1);
});

test("a sign-out ends the session of the cookie, and its tabs hear of it", async () => {
  const world = new World();
  const { postMessage, close } = world.hub.join();
  const deaf = world.tab({ channel: { onmessage: null, postMessage, close } });
  await world.clock.until(deaf.login(person));
  const newer = world.tab();
  await world.clock.until(newer.login(person));
  assert.deepEqual(await world.clock.until(deaf.logout()), { sessionId: "s2" });
  await world.clock.advance(10);
  assert.deepEqual(newer.state, { status: "signed-out", reason: "LOGOUT" });
});

test("a sign-out without the cookie ends the session of the access token", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  delete world.jar.cookie;
  assert.deepEqual(await world.clock.until(tab!.logout()), { sessionId: "s1" });
});

test("a token that comes after its session's end is not believed", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2, { locks: null });
  world.server.latency = 1000;
  const late = two!.refresh();
  await world.clock.advance(600);
  world.server.latency = 20;
  await world.clock.until(one!.logout());
  await world.clock.until(late);
  await world.clock.advance(10);
  assert.equal(one!.state.status, "signed-out");
  assert.equal(two!.state.status, "signed-out");
});

test("news that are late, or of nobody, change nothing", async () => {
  const world = new World();
  const [one] = await world.signedIn(1);
  const unknown = world.tab({ channel: world.hub.join() });
  const other = world.hub.join();
  const token = (sessionId: string) => ({ sessionId, token: "x", expiresIn: 900, at: world.clock.wall(), rotated: false });
  const tell = async (news: object) => {
    other.postMessage(news);
    await world.clock.advance(10);
  };
  await tell({ sessionId: undefined, reason: "MISSING" });
  await tell({ sessionId: "s9", reason: "LOGOUT" });
  assert.equal(one!.state.status, "signed-in");
  assert.equal(unknown.state.status, "unknown");
  await tell(token("s9"));
  await tell(token("s10"));
  assert.equal(one!.state.status, "session-changed");
  one!.reset();
  const { sessionId } = await world.clock.until(one!.refresh());
  assert.equal(sessionId, "s1");
  await world.clock.until(one!.logout());
  await tell(token("s1"));
  assert.equal(await one!.getAccessToken(), null);
});

test("sign-in in one tab reaches tabs where nobody is signed in", async () => {
  const world = new World();
  const [one, two] = [world.tab(), world.tab()];
  await world.clock.until(two!.getAccessToken());
  await world.clock.until(one!.login(person));
  await world.clock.advance(10);
  assert.equal(two!.state.sessionId, "s1");
  assert.ok(await two!.getAccessToken());
});

test("SESSION_CHANGED is told to the application and never tried again", async () => {
  const world = new World();
  const old = world.tab({ channel: null });
  await world.clock.until(old.login(person));
  const newer = world.tab({ channel: null });
  await world.clock.until(newer.login(person));
  const heard: string[] = [];
  old.subscribe((state) => heard.push(state.status));
  world.clock.skip(EXPIRY);
  world.server.log.length = 0;
  await assert.rejects(world.clock.until(old.getAccessToken()), { code: "SESSION_CHANGED" });
  await assert.rejects(world.clock.until(old.getAccessToken()), { code: "SESSION_CHANGED" });
  assert.equal((await world.clock.until(old.refresh())).status, "session-changed");
  assert.deepEqual(heard, ["session-changed"]);
  assert.equal(world.server.log.length, 1);

  old.reset();
  assert.ok(await world.clock.until(old.getAccessToken()));
  assert.equal(old.state.sessionId, "s2");
});

test("a sign-in in another tab is noticed at once, not at the next refresh", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2);
  await world.clock.until(one!.login(person));
  await world.clock.advance(10);
  assert.equal(one!.state.sessionId, "s2");
  assert.equal(two!.state.status, "session-changed");
  await assert.rejects(two!.getAccessToken(), { code: "SESSION_CHANGED" });
});

test("a login waits for a refresh on its way, so that its cookie is the last", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2);
  const refresh = two!.refresh();
  await slowAnswer(world);
  await world.clock.until(Promise.all([refresh, one!.login(person)]));
  assert.equal(world.jar.cookie, "s2.1");
});

test("within a tab one thing happens after the other, without locks too", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1, { locks: null });
  const refresh = tab!.refresh();
  await slowAnswer(world);
  await world.clock.until(Promise.all([refresh, tab!.login(person)]));
  assert.equal(world.jar.cookie, "s2.1");
  const fails = tab!.login({ ...person, password: "wrong" });
  world.server.faults.push("refuse");
  await assert.rejects(world.clock.until(fails));
  assert.equal((await world.clock.until(tab!.refresh())).status, "signed-in");
});

test("clients of another name share nothing", async () => {
  const world = new World();
  const admin = world.tab({ name: "admin" });
  world.locks.hang("pawl");
  world.server.faults.push("lose");
  await world.clock.until(admin.login(person).catch(() => {}));
  await world.clock.until(admin.login(person));
  world.server.onRequest = () => assert.deepEqual([...world.storage.values.keys()], ["admin.attempt"]);
  assert.equal((await world.clock.until(admin.refresh())).status, "signed-in");
});

test("a closed client hears nothing any more", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2);
  two!.close();
  await world.clock.until(one!.logout());
  await world.clock.advance(10);
  assert.equal(two!.state.status, "signed-in");
});

test("a closed client says so, and sends nothing", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  const app = world.app({ channel: world.hub.join() });
  for (const client of [tab!, app, world.tab({ locks: null, channel: null })]) {
    client.close();
    client.close();
    const closed = { name: "PawlError", code: "CLIENT_CLOSED" };
    const password = { currentPassword: "correct", newPassword: "correct horse battery" };
    await assert.rejects(world.clock.until(client.login(person)), closed);
    await assert.rejects(world.clock.until(client.logout()), closed);
    if (client === app) continue; // It has no token, so nothing is asked.
    await assert.rejects(world.clock.until(client.getAccessToken()), closed);
    await assert.rejects(world.clock.until(client.refresh()), closed);
    await assert.rejects(world.clock.until(client.changePassword(password)), closed);
  }
  assert.equal(await world.clock.until(app.getAccessToken()), null);
  assert.equal(world.server.log.length, 0);
});

test("what is under way when a client is closed comes to its end, and the other tabs hear of it", async () => {
  const world = new World();
  const [one, two] = await world.signedIn(2);
  const refreshed = one!.refresh();
  await world.clock.advance(5);
  const signedOut = two!.logout();
  two!.close();
  one!.close();
  assert.equal((await world.clock.until(refreshed)).status, "signed-in");
  await assert.rejects(world.clock.until(signedOut), { code: "CLIENT_CLOSED" });
  const third = world.tab();
  await world.clock.until(third.refresh());
  const left = third.logout();
  await world.clock.advance(5);
  third.close();
  const fourth = world.tab({ sessionId: "s1" });
  assert.deepEqual(await world.clock.until(left), { sessionId: "s1" });
  await world.clock.advance(10);
  assert.deepEqual(fourth.state, { status: "signed-out", reason: "LOGOUT" });
});

test("a refresh that waits for better times is given up with its client", async () => {
  const world = new World();
  const [tab] = await world.signedIn(1);
  world.clock.skip(EXPIRY);
  world.server.faults.push("refuse");
  const wanted = tab!.getAccessToken();
  await world.clock.advance(100);
  tab!.close();
  await assert.rejects(world.clock.until(wanted), { code: "CLIENT_CLOSED" });
  assert.equal(world.server.log.length, 1);
});

test("a channel that fails takes nothing from what has happened", async () => {
  const world = new World();
  const channel = world.hub.join();
  const tab = world.tab({ channel });
  channel.close();
  assert.equal((await world.clock.until(tab.login(person))).__typename, "LoginPayload");
  assert.equal((await world.clock.until(tab.refresh())).status, "signed-in");
  assert.deepEqual(await world.clock.until(tab.logout()), { sessionId: "s1" });
});

/** What tells a window from a server. */
const document = { defaultView: globalThis };

/** Sets globals for one test. */
function pretend(t: TestContext, globals: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { configurable: true, value });
    t.after(() => {
      if (before) Object.defineProperty(globalThis, name, before);
      else delete (globalThis as Record<string, unknown>)[name];
    });
  }
}

const plain = (world: World) => ({
  url: "https://pawl.test/graphql",
  storage: world.storage,
  fetch: world.fetch,
  clock: world.clock,
});

test("in a browser its locks and channels are used without being asked for", async (t) => {
  const world = new World();
  const locks = t.mock.fn(world.locks.request.bind(world.locks));
  const names: string[] = [];
  function BroadcastChannel(name: string) {
    names.push(name);
    return world.hub.join();
  }
  pretend(t, { document, navigator: { locks: { request: locks } }, BroadcastChannel });
  const [one, two] = [createClient(plain(world)), createClient(plain(world))];
  await world.clock.until(one.login(person));
  await world.clock.advance(10);
  assert.equal(two.state.sessionId, "s1");
  assert.deepEqual(names, ["pawl", "pawl"]);
  assert.deepEqual(locks.mock.calls.map((call) => call.arguments[0]), ["pawl"]);
});

test("a browser that has neither will do", async (t) => {
  const world = new World();
  pretend(t, { document, navigator: {}, BroadcastChannel: undefined });
  const tab = createClient(plain(world));
  await world.clock.until(tab.login(person));
  world.clock.skip(EXPIRY);
  assert.ok(await world.clock.until(tab.getAccessToken()));
});

/** A server that has all that a window has, but is none. */
const servers: [string, Record<string, unknown>][] = [
  ["Node", {}],
  ["Deno", { location: { origin: "https://app.test", href: "https://app.test/" } }],
  ["a server with a document to render into", { document: { defaultView: {} }, window: {} }],
];

for (const [server, globals] of servers) {
  test(`on ${server} nothing is shared between the clients of a process`, async (t) => {
    const fail = () => assert.fail("something was shared");
    const kept = new Map<string, string>();
    pretend(t, {
      ...globals,
      BroadcastChannel: fail,
      navigator: { locks: { request: fail } },
      localStorage: {
        getItem: (key: string) => kept.get(key),
        setItem: (key: string, value: string) => kept.set(key, value),
        removeItem: (key: string) => kept.delete(key),
      },
    });
    const worlds = [new World(), new World()];
    const clients = worlds.map(({ fetch, clock }) => createClient({ url: "https://pawl.test/graphql", fetch, clock, patience: 1 }));
    await worlds[0]!.clock.until(clients[0]!.login(person));
    assert.equal(clients[1]!.state.status, "unknown");
    await worlds[1]!.clock.until(clients[1]!.login(person));
    for (const [i, world] of worlds.entries()) {
      world.clock.skip(20_000);
      world.server.faults.push("lose");
      await assert.rejects(world.clock.until(clients[i]!.refresh()));
    }
    for (const [i, world] of worlds.entries()) {
      world.clock.skip(2_000);
      assert.equal((await world.clock.until(clients[i]!.refresh())).status, "signed-in");
    }
    const ids = worlds.map(({ server }) => server.log.flatMap(({ input }) => input.attemptId ?? []));
    assert.equal(new Set(ids[0]).size, 1);
    assert.equal(new Set(ids.flat()).size, 2);
  });
}
