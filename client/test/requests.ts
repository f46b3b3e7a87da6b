// What the Apollo link, the urql exchange and the fetch wrapper have to do alike.

import assert from "node:assert/strict";
import test from "node:test";
import type { PawlClient } from "../src/index.js";
import { person, World } from "./world.js";

/** Sends `query { me { id } }`, or the mutation, and answers with the user's id; fails where the sender fails. */
export type Ask = (mutation?: boolean) => Promise<string | undefined>;

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
    assert.equal(await world.clock.until(ask(true)), "u1");
    const errors = [{ message: "half of it", extensions: { code: "UNAUTHENTICATED" } }];
    world.server.log.length = 0;
    world.server.faults.push({ body: { data: { me: { id: "u1" }, other: null }, errors } });
    await assert.rejects(world.clock.until(ask(true)), /half of it/);
    assert.equal(world.server.log.length, 1);
    world.server.faults.push({ body: { data: { me: { id: "half" }, other: null }, errors } });
    assert.equal(await world.clock.until(ask()), "u1", "a query is repeated all the same");
  });

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
