// What the Apollo link, the urql exchange and the fetch wrapper have to do alike.

import assert from "node:assert/strict";
import test from "node:test";
import type { PawlClient } from "../src/index.js";
import { person, World } from "./world.js";

/** Sends the document, `{ me { id } }` without one, and answers with the user's id; fails where the sender fails. */
export type Ask = (document?: string) => Promise<string | undefined>;

const refusal = (...path: (string | number)[]) => ({
  message: "no",
  ...(path.length && { path }),
  extensions: { code: "UNAUTHENTICATED" },
});

/** An answer, the document that it is for, and whether the request may be repeated. */
type Case = [name: string, document: string, answer: object, repeated: boolean, repeatedAfter401?: boolean];

const cases: Case[] = [
  ["a mutation with one field", "mutation M { pay }", { data: { pay: null }, errors: [refusal("pay")] }, true],
  ["one whose error has no path", "mutation M { pay }", { data: { pay: null }, errors: [refusal()] }, true],
  ["one that was refused as a whole", "mutation M { pay }", { errors: [refusal()] }, true],
  ["one whose data is null", "mutation M { pay }", { data: null, errors: [refusal("pay")] }, true],
  ["one that was refused inside of its field", "mutation M { pay { id } }", { data: { pay: null }, errors: [refusal("pay", "id")] }, false],
  ["one that has a value", "mutation M { pay { id } }", { data: { pay: { id: null } }, errors: [refusal("pay", "id")] }, false],
  ["one that has a value and an error", "mutation M { pay }", { data: { pay: 1 }, errors: [refusal("pay")] }, false],
  ["one with an alias", "mutation M { mine: pay }", { data: { mine: null }, errors: [refusal("mine")] }, true],
  ["two fields, one refused", "mutation M { pay note }", { data: { pay: null, note: null }, errors: [refusal("note")] }, false],
  ["two fields, both refused", "mutation M { pay note }", { data: { pay: null, note: null }, errors: [refusal("note"), refusal("pay")] }, true],
  ["two fields, one refused twice", "mutation M { pay note }", { data: { pay: null, note: null }, errors: [refusal("note"), refusal("note")] }, false],
  ["two fields, one failed otherwise", "mutation M { pay note }", { data: { pay: null, note: null }, errors: [refusal("note"), { message: "late", path: ["pay"] }] }, false],
  ["two fields, no paths", "mutation M { pay note }", { data: { pay: null, note: null }, errors: [refusal(), refusal()] }, false],
  ["two fields, refused as a whole", "mutation M { pay note }", { errors: [refusal()] }, false, true],
  ["two fields, the second nulls all", "mutation M { pay note }", { data: null, errors: [refusal("note")] }, false],
  ["two aliases of one field", "mutation M { a: pay b: pay }", { data: { a: null, b: null }, errors: [refusal("b")] }, false],
  ["one field and a fragment", "mutation M { note ...Rest } fragment Rest on Mutation { pay }", { data: { note: null, pay: null }, errors: [refusal("note")] }, false],
  ["one field, in a fragment", "mutation M { ...Rest } fragment Rest on Mutation { pay }", { data: { pay: null }, errors: [refusal("pay")] }, true],
  ["a field that may have been skipped", "mutation M { note pay @skip(if: true) }", { data: { note: null }, errors: [refusal("note")] }, false],
  ["a query of which a part was answered", "query Q { me { id } other }", { data: { me: { id: "half" }, other: null }, errors: [refusal("other")] }, true],
];

export function requestTests(name: string, connect: (pawl: PawlClient, fetch: typeof globalThis.fetch) => Ask): void {
  async function signedIn() {
    const world = new World();
    const [pawl] = await world.signedIn(1);
    return { world, pawl: pawl!, ask: connect(pawl!, world.fetch) };
  }

  test(`${name}: the access token goes along`, async () => {
    const { world, pawl, ask } = await signedIn();
    assert.equal(await world.clock.until(ask()), "u1");
    assert.equal(world.server.log[0]!.token, await pawl.getAccessToken());
  });

  for (const [status, type] of [
    [200, "application/json"],
    [200, "application/graphql-response+json"],
    [401, "application/json"],
    [401, "application/graphql-response+json"],
  ] as const) {
    test(`${name}: UNAUTHENTICATED with ${status} as ${type}: refreshed and repeated once`, async () => {
      const { world, ask } = await signedIn();
      Object.assign(world.server, { status, type });
      world.server.expire();
      assert.equal(await world.clock.until(ask()), "u1");
      assert.deepEqual(
        world.server.log.map(({ field }) => field),
        ["me", "refreshToken", "me"],
      );
    });
  }

  test(`${name}: five parallel queries with an expired token: one refresh, all five repeated once`, async () => {
    const { world, ask } = await signedIn();
    world.server.expire();
    const answers = await world.clock.until(Promise.all([ask(), ask(), ask(), ask(), ask()]));
    assert.deepEqual(answers, Array(5).fill("u1"));
    assert.equal(world.server.count("refreshToken"), 1);
    assert.equal(world.server.count("me"), 10);
  });

  test(`${name}: a token that is refused again is not tried a third time`, async () => {
    const { world, ask } = await signedIn();
    world.server.onRequest = ({ field }) => field === "me" && world.server.expire();
    await assert.rejects(world.clock.until(ask()), /TOKEN_EXPIRED/);
    assert.deepEqual(
      world.server.log.map(({ field }) => field),
      ["me", "refreshToken", "me"],
    );
  });

  test(`${name}: a revoked session: one refresh is tried, then the refusal is the answer`, async () => {
    const { world, pawl, ask } = await signedIn();
    world.server.end("s1");
    await assert.rejects(world.clock.until(ask()), /SESSION_REVOKED/);
    assert.deepEqual(pawl.state, { status: "signed-out", reason: "REVOKED" });
    assert.deepEqual(
      world.server.log.map(({ field }) => field),
      ["me", "refreshToken"],
    );
  });

  test(`${name}: without a session requests go out without a token, and nothing is refreshed`, async () => {
    const { world, pawl, ask } = await signedIn();
    await world.clock.until(pawl.logout());
    world.server.log.length = 0;
    await assert.rejects(world.clock.until(ask()), /TOKEN_MISSING/);
    assert.deepEqual(
      world.server.log.map(({ field, token }) => [field, token]),
      [["me", undefined]],
    );
  });

  test(`${name}: in an outage requests fail with a PawlError`, async () => {
    const { world, pawl, ask } = await signedIn();
    world.server.onRequest = ({ field }) => field === "refreshToken" && world.server.faults.push("refuse");
    world.server.expire();
    await assert.rejects(world.clock.until(ask()), /NETWORK_ERROR/);
    assert.equal(pawl.state.status, "signed-in");
  });

  test(`${name}: SESSION_CHANGED fails requests and sends nothing`, async () => {
    const { world, ask } = await signedIn();
    await world.clock.until(world.tab().login(person));
    await world.clock.advance(10);
    world.server.log.length = 0;
    await assert.rejects(world.clock.until(ask()), /SESSION_CHANGED/);
    assert.equal(world.server.log.length, 0);
  });

  test(`${name}: a mutation that was refused is repeated, one that did something is not`, async () => {
    const { world, ask } = await signedIn();
    world.server.expire();
    assert.equal(await world.clock.until(ask("mutation Change { me { id } }")), "u1");
    const errors = [{ message: "half of it", extensions: { code: "UNAUTHENTICATED" } }];
    world.server.log.length = 0;
    world.server.faults.push({ body: { data: { me: { id: "u1" }, other: null }, errors } });
    await assert.rejects(world.clock.until(ask("mutation Change { me { id } other }")), /half of it/);
    assert.equal(world.server.log.length, 1);
  });

  for (const [what, document, body, on200, on401 = on200] of cases) {
    for (const [status, repeated] of [[200, on200], [401, on401]] as const) {
      test(`${name}: ${what}, answered with ${status}: ${repeated ? "repeated" : "not repeated"}`, async () => {
        const { world, ask } = await signedIn();
        world.server.faults.push({ status, body });
        await world.clock.until(ask(document).catch(() => {}));
        assert.equal(world.server.count("me"), repeated ? 2 : 1);
        assert.equal(world.server.count("refreshToken"), repeated ? 1 : 0);
      });
    }
  }

  test(`${name}: other errors are handed on`, async () => {
    const { world, ask } = await signedIn();
    const errors = [{ message: "not yours", extensions: { code: "FORBIDDEN" } }];
    world.server.faults.push({ body: { data: { me: null }, errors } });
    await assert.rejects(world.clock.until(ask()), /not yours/);
    world.server.faults.push("refuse");
    await assert.rejects(world.clock.until(ask()), /connection refused/);
    assert.equal(world.server.log.length, 2);
  });
}
