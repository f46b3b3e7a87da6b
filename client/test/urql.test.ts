import assert from "node:assert/strict";
import test from "node:test";
import { Client, type CombinedError, fetchExchange } from "@urql/core";
import { pipe, subscribe } from "wonka";
import type { PawlClient } from "../src/index.js";
import { pawlExchange } from "../src/urql.js";
import { requestTests } from "./requests.js";
import { World } from "./world.js";

const urql = (pawl: PawlClient, fetch: typeof globalThis.fetch, fetchOptions?: () => RequestInit) =>
  new Client({
    url: "https://pawl.test/graphql",
    preferGetMethod: false,
    fetch,
    exchanges: [pawlExchange(pawl), fetchExchange],
    ...(fetchOptions && { fetchOptions }),
  });

let count = 0;
/** A document of its own each time: urql joins equal queries. */
const me = () => `query Me${count++} { me { id } }`;

const told = (error: CombinedError): never => {
  throw new Error([error.message, (error.networkError as any)?.code, error.networkError?.message].join(" "));
};

requestTests("urql", (pawl, fetch) => {
  const client = urql(pawl, fetch);
  return async (mutation) => {
    const { data, error } = await (mutation
      ? client.mutation("mutation Change { me { id } }", {})
      : client.query(me(), {})
    ).toPromise();
    return error ? told(error) : data.me.id;
  };
});

test("urql: headers of the client stay", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  let seen: string | null = "";
  const spy: typeof fetch = (input, init) => {
    seen = new Headers(init?.headers).get("x-team");
    return world.fetch(input, init);
  };
  const client = urql(pawl!, spy, () => ({ headers: { "X-Team": "blue" } }));
  await world.clock.until(client.query(me(), {}).toPromise());
  assert.equal(seen, "blue");
  assert.ok(world.server.log[0]!.token);
});

test("urql: an operation that nobody waits for is not sent, and not repeated", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  const client = urql(pawl!, world.fetch);
  pipe(client.query(me(), {}), subscribe(() => {})).unsubscribe();
  await world.clock.advance(100);
  assert.equal(world.server.log.length, 0);
  world.server.expire();
  const { unsubscribe } = pipe(client.query(me(), {}), subscribe(() => {}));
  await world.clock.advance(30);
  assert.equal(world.server.count("me"), 1);
  unsubscribe();
  await world.clock.advance(100);
  assert.equal(world.server.count("me"), 1);
});

test("urql: an operation that is executed again begins anew", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  const client = urql(pawl!, world.fetch);
  world.server.expire();
  const { operation } = await world.clock.until(client.query(me(), {}).toPromise());
  for (const refreshes of [1, 2]) {
    let data: any;
    const { unsubscribe } = pipe(
      client.executeRequestOperation(operation),
      subscribe((result) => (data = result.data)),
    );
    await world.clock.advance(200);
    unsubscribe();
    assert.deepEqual(data, { me: { id: "u1" } });
    assert.equal(world.server.count("refreshToken"), refreshes);
    world.server.expire();
  }
});
