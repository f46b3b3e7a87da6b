import assert from "node:assert/strict";
import test from "node:test";
import { createFetch } from "../src/fetch.js";
import { requestTests } from "./requests.js";
import { World } from "./world.js";

const url = "https://pawl.test/graphql";
const ask = (query: string) => ({
  method: "POST",
  headers: { "content-type": "application/json", "x-team": "blue" },
  body: JSON.stringify({ query }),
});

requestTests("fetch", (pawl, fetch) => {
  const send = createFetch(pawl, { fetch });
  return async (mutation) => {
    const response = await send(url, ask(`${mutation ? "mutation" : "query"} { me { id } }`)).catch((error) => {
      throw new Error(`${error.message} ${error.code}`);
    });
    const { data, errors } = (await response.json()) as any;
    if (errors) throw new Error(errors[0].message);
    return data.me.id;
  };
});

/** A fetch that notes what it was asked, and answers as told. */
function spy(...answers: Response[]) {
  const seen: { url: string; token: string | null; team: string | null; body: string }[] = [];
  const fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init);
    const { headers } = request;
    const [token, team] = [headers.get("authorization"), headers.get("x-team")];
    seen.push({ url: request.url, token, team, body: await request.text() });
    return answers.shift() ?? new Response("fine");
  };
  return { seen, fetch };
}

async function signedIn() {
  const world = new World();
  const [pawl] = await world.signedIn(1);
  return { world, pawl: pawl!, token: `Bearer ${await pawl!.getAccessToken()}` };
}

test("fetch: the token goes to Pawl's origin and those that are named, to no other", async () => {
  const { pawl, token } = await signedIn();
  const { seen, fetch } = spy();
  const send = createFetch(pawl, { fetch, origins: ["https://API.example.com", "https://api.example.com:8443/"] });
  const cases: [string, string | null][] = [
    ["https://pawl.test/other", token],
    ["https://api.example.com/a", token],
    ["https://api.example.com:8443/a?b", token],
    ["https://api.example.com:8444/a", null],
    ["http://api.example.com/a", null],
    ["https://api.example.com.evil.test/a", null],
    ["https://evil.test/https://api.example.com/", null],
    ["https://evil.test/?https://pawl.test", null],
  ];
  for (const [to] of cases) await send(to);
  assert.deepEqual(seen.map(({ url, token }) => [url, token]), cases);
});

test("fetch: a request with an Authorization of its own is left alone", async () => {
  const { world, pawl } = await signedIn();
  const { seen, fetch } = spy(new Response("no", { status: 401 }));
  const response = await createFetch(pawl, { fetch })(url, { headers: { authorization: "Basic abc" } });
  assert.equal(response.status, 401);
  assert.deepEqual(seen.map(({ token }) => token), ["Basic abc"]);
  assert.equal(world.server.log.length, 0);
});

test("fetch: a repeated request has its headers and its body, a stream too", async () => {
  const { world, pawl } = await signedIn();
  const { seen, fetch } = spy(new Response("no", { status: 401 }));
  const body = new Blob(["a long story"]).stream();
  const init = { method: "PUT", headers: { "x-team": "blue" }, body, duplex: "half" } as RequestInit;
  const response = await world.clock.until(createFetch(pawl, { fetch })("https://pawl.test/file", init));
  assert.equal(await response.text(), "fine");
  assert.deepEqual(seen.map(({ team, body }) => [team, body]), Array(2).fill(["blue", "a long story"]));
  assert.notEqual(seen[0]!.token, seen[1]!.token);
});

test("fetch: the answer can be read, JSON or not", async () => {
  const { pawl } = await signedIn();
  const json = { headers: { "content-type": "application/json" } };
  const { fetch } = spy(
    new Response('{"said":"UNAUTHENTICATED"}', json),
    new Response('"UNAUTHENTICATED', json),
    new Response('{"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}'),
  );
  const send = createFetch(pawl, { fetch });
  assert.deepEqual(await (await send(url)).json(), { said: "UNAUTHENTICATED" });
  assert.equal(await (await send(url)).text(), '"UNAUTHENTICATED');
  assert.equal(await (await send(url)).text(), '{"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}');
});
