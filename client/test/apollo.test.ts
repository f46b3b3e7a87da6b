import assert from "node:assert/strict";
import test from "node:test";
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { Observable } from "@apollo/client/utilities";
import type { PawlClient } from "../src/index.js";
import { PawlLink } from "../src/apollo.js";
import { requestTests } from "./requests.js";
import { World } from "./world.js";

const apollo = (pawl: PawlClient, fetch: typeof globalThis.fetch) =>
  new ApolloClient({
    link: new PawlLink(pawl).concat(new HttpLink({ uri: "https://pawl.test/graphql", fetch })),
    cache: new InMemoryCache(),
    queryDeduplication: false,
    defaultOptions: { query: { fetchPolicy: "no-cache" }, mutate: { fetchPolicy: "no-cache" } },
  });

const ME = gql`query Me { me { id } }`;

/** Error messages of all kinds in one, as the shared tests look for them. */
const told = (error: any): never => {
  const inner = error.errors?.map((one: Error) => one.message) ?? [];
  throw new Error([error.message, error.code, error.bodyText, ...inner].join(" "));
};

requestTests("apollo", (pawl, fetch) => {
  const client = apollo(pawl, fetch);
  return (document = "query Me { me { id } }") =>
    (/^mutation/.test(document)
      ? client.mutate<any>({ mutation: gql(document) })
      : client.query<any>({ query: gql(document) })
    ).then(({ data }) => data?.me?.id, told);
});

test("apollo: headers of the operation stay", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  let seen: string | null = "";
  const client = apollo(pawl!, (input, init) => {
    seen = new Headers(init?.headers).get("x-team");
    return world.fetch(input, init);
  });
  await world.clock.until(client.query({ query: ME, context: { headers: { "x-team": "blue" } } }));
  assert.equal(seen, "blue");
});

test("apollo: an operation that nobody waits for is not sent, and not repeated", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  const client = apollo(pawl!, world.fetch);
  client.watchQuery({ query: ME, fetchPolicy: "no-cache" }).subscribe(() => {}).unsubscribe();
  await world.clock.advance(100);
  assert.equal(world.server.log.length, 0);
  world.server.expire();
  const subscription = client.watchQuery({ query: ME, fetchPolicy: "no-cache" }).subscribe(() => {});
  await world.clock.advance(30);
  assert.equal(world.server.count("me"), 1);
  subscription.unsubscribe();
  await world.clock.advance(100);
  assert.equal(world.server.count("me"), 1);
});

test("apollo: a context.uri takes no token to a foreign origin", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  const token = `Bearer ${await pawl!.getAccessToken()}`;
  const seen: [string, string | null][] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    seen.push([String(input), new Headers(init?.headers).get("authorization")]);
    return Response.json({ data: { me: { __typename: "User", id: "u1" } } });
  };
  const client = new ApolloClient({
    link: new PawlLink(pawl!, { origins: ["https://api.test"] }).concat(
      new HttpLink({ uri: "https://configured.test/graphql", fetch }),
    ),
    cache: new InMemoryCache(),
  });
  const cases: [string, string | null][] = [
    ["https://evil.test/graphql", null],
    ["https://pawl.test.evil.test/graphql", null],
    ["https://pawl.test@evil.test/", null],
    ["//evil.test/graphql", null],
    ["https://api.test/graphql", token],
    ["https://pawl.test/other", token],
  ];
  const send = (uri?: string) =>
    world.clock.until(client.query({ query: ME, fetchPolicy: "no-cache", context: { uri } }));
  for (const [uri] of cases) await send(uri);
  await send();
  assert.deepEqual(seen, [...cases, ["https://configured.test/graphql", token]]);
});

test("apollo: an operation with an authorization of its own is left alone", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  let seen: string | null = "";
  const client = apollo(pawl!, (input, init) => {
    seen = new Headers(init?.headers).get("authorization");
    return world.fetch(input, init);
  });
  const context = { headers: { Authorization: "Basic abc" } };
  await assert.rejects(world.clock.until(client.query({ query: ME, context })));
  assert.equal(seen, "Basic abc");
  assert.equal(world.server.log.length, 1);
});

test("apollo: an operation that is sent again after the sign-out has no token any more", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  const seen: (string | undefined)[] = [];
  const twice = new ApolloLink(
    (operation, forward) =>
      new Observable((observer) => {
        forward(operation).subscribe({
          complete: () => void world.clock.until(pawl!.logout()).then(() => forward(operation).subscribe(observer)),
        });
      }),
  );
  const terminal = new ApolloLink((operation) => {
    seen.push(operation.getContext().headers?.authorization);
    return new Observable((observer) => {
      observer.next({ data: { me: null } });
      observer.complete();
    });
  });
  const client = new ApolloClient({ link: ApolloLink.from([twice, new PawlLink(pawl!), terminal]), cache: new InMemoryCache() });
  await world.clock.until(client.query({ query: ME, fetchPolicy: "no-cache" }));
  assert.match(seen[0]!, /^Bearer access-s1/);
  assert.deepEqual(seen.slice(1), [undefined]);
});

test("apollo: a subscription is not begun again", async () => {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  let begun = 0;
  const terminal = new ApolloLink(() => {
    begun++;
    return new Observable((observer) => {
      observer.next({ data: null, errors: [{ message: "no", extensions: { code: "UNAUTHENTICATED" } }] } as any);
      observer.complete();
    });
  });
  const client = new ApolloClient({ link: new PawlLink(pawl!).concat(terminal), cache: new InMemoryCache() });
  client.subscribe({ query: gql`subscription { tick }` }).subscribe({ next() {}, error() {} });
  await world.clock.advance(100);
  assert.equal(begun, 1);
});
