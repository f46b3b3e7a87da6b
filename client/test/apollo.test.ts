import assert from "node:assert/strict";
import test from "node:test";
import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";
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
const CHANGE = gql`mutation Change { me { id } }`;

/** Error messages of all kinds in one, as the shared tests look for them. */
const told = (error: any): never => {
  const inner = error.errors?.map((one: Error) => one.message) ?? [];
  throw new Error([error.message, error.code, error.bodyText, ...inner].join(" "));
};

requestTests("apollo", (pawl, fetch) => {
  const client = apollo(pawl, fetch);
  return (mutation) =>
    (mutation ? client.mutate<any>({ mutation: CHANGE }) : client.query<any>({ query: ME })).then(
      ({ data }) => data?.me.id,
      told,
    );
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
