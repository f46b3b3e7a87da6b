import assert from "node:assert/strict";
import test from "node:test";
import { Client, type CombinedError, fetchExchange, makeOperation, subscriptionExchange } from "@urql/core";
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
  return async (document = me()) => {
    const { data, error } = await (/^mutation/.test(document)
      ? client.mutation(document, {})
      : client.query(document, {})
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

/** A fetch that notes where tokens go, and refuses them all. */
function notes() {
  const seen: [string, string | null][] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    seen.push([String(input), new Headers(init?.headers).get("authorization")]);
    return Response.json({ data: { me: { id: "u1" } } });
  };
  return { seen, fetch };
}

test("urql: a context.url takes no token to a foreign origin", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  const token = `Bearer ${await pawl!.getAccessToken()}`;
  const { seen, fetch } = notes();
  const client = new Client({
    url: "https://configured.test/graphql",
    preferGetMethod: false,
    fetch,
    exchanges: [pawlExchange(pawl!, { origins: ["https://api.test"] }), fetchExchange],
  });
  const cases: [string, string | null][] = [
    ["https://evil.test/graphql", null],
    ["https://configured.test.evil.test/graphql", null],
    ["https://configured.test@evil.test/", null],
    ["https://configured.test/graphql", token],
    ["https://configured.test/other", token],
    ["https://api.test/graphql", token],
    ["https://pawl.test/graphql", token],
  ];
  for (const [to] of cases) await world.clock.until(client.query(me(), {}, { url: to }).toPromise());
  assert.deepEqual(seen, cases);
});

test("urql: an operation with an authorization of its own is left alone", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  const { seen, fetch } = notes();
  const client = urql(pawl!, fetch, () => ({ headers: { Authorization: "Basic abc" } }));
  await world.clock.until(client.query(me(), {}).toPromise());
  assert.deepEqual(seen, [["https://pawl.test/graphql", "Basic abc"]]);
});

test("urql: an operation that is executed again after the sign-out has no token any more", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  const { seen, fetch } = notes();
  const client = urql(pawl!, fetch, () => ({ headers: { "x-team": "blue" } }));
  const { operation } = await world.clock.until(client.query(me(), {}).toPromise());
  await world.clock.until(pawl!.logout());
  const again = makeOperation("query", operation, { ...operation.context, requestPolicy: "network-only" });
  pipe(client.executeRequestOperation(again), subscribe(() => {}));
  await world.clock.advance(100);
  assert.match(seen[0]![1]!, /^Bearer access-s1/);
  assert.deepEqual(seen.slice(1), [["https://pawl.test/graphql", null]]);
});

test("urql: a subscription is not begun again", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  let begun = 0;
  const client = new Client({
    url: "https://pawl.test/graphql",
    exchanges: [
      pawlExchange(pawl!),
      subscriptionExchange({
        forwardSubscription: () => ({
          subscribe(sink) {
            begun++;
            sink.next({ data: null, errors: [{ message: "no", extensions: { code: "UNAUTHENTICATED" } } as any] });
            return { unsubscribe() {} };
          },
        }),
      }),
    ],
  });
  pipe(client.subscription("subscription { tick }", {}), subscribe(() => {}));
  await world.clock.advance(100);
  assert.equal(begun, 1);
});

test("urql: a persisted mutation is not repeated, a persisted query is", async () => {
  for (const kind of ["query", "mutation"] as const) {
    const world = new World();
    const [pawl] = await world.signedIn(1);
    let sent = 0;
    const fetch: typeof globalThis.fetch = async () => {
      sent++;
      const errors = [{ message: "no", path: ["pay"], extensions: { code: "UNAUTHENTICATED" } }];
      return Response.json({ data: { pay: null }, errors });
    };
    const client = urql(pawl!, (input, init) => (String(init?.body).includes("refreshToken") ? world.fetch : fetch)(input, init));
    const query: any = { kind: "Document", definitions: [], documentId: `sha256:${kind}` };
    const operation = makeOperation(kind, { key: 1, query, variables: {} }, client.createRequestOperation("teardown", { key: 1, query, variables: {} }).context);
    pipe(client.executeRequestOperation(operation), subscribe(() => {}));
    await world.clock.advance(200);
    assert.equal(sent, kind === "query" ? 2 : 1, kind);
  }
});
