import assert from "node:assert/strict";
import test from "node:test";
import { createFetch } from "../src/fetch.js";
import { requestTests } from "./requests.js";
import { World } from "./world.js";

const url = "https://pawl.test/graphql";
const ask = (body: object) => ({
  method: "POST",
  headers: { "content-type": "application/json", "x-team": "blue" },
  body: JSON.stringify(body),
});

function form(fields: Record<string, string>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  return data;
}

requestTests("fetch", (pawl, fetch) => {
  const send = createFetch(pawl, { fetch });
  return async (document = "{ me { id } }") => {
    const response = await send(url, ask({ query: document })).catch((error) => {
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

const refusal = { errors: [{ message: "no", path: ["pay"], extensions: { code: "UNAUTHENTICATED" } }], data: { pay: null } };

for (const [what, request, repeated] of [
  ["a persisted document", ask({ extensions: { persistedQuery: { version: 1, sha256Hash: "abc" } } }), false],
  ["a persisted document by its id", ask({ documentId: "abc" }), false],
  ["a batch", ask([{ query: "mutation { pay }" }]), false],
  ["an upload", { method: "POST", body: form({ operations: '{"query":"mutation { pay }"}' }) }, false],
  ["what only looks like GraphQL", ask({ query: "what is a mutation?" }), false],
  ["a mutation", ask({ query: "mutation { pay }" }), true],
  ["the mutation of several operations", ask({ query: "query A { a } mutation B { pay }", operationName: "B" }), true],
  ["one of several operations, nobody says which", ask({ query: "query A { a } mutation B { pay }" }), false],
] as [string, RequestInit, boolean][]) {
  test(`fetch: ${what} that is refused with 200 is ${repeated ? "repeated" : "not repeated"}`, async () => {
    const { world, pawl } = await signedIn();
    const { seen, fetch } = spy(Response.json(refusal));
    await world.clock.until(createFetch(pawl, { fetch })(url, request));
    assert.equal(seen.length, repeated ? 2 : 1);
  });
}

for (const [search, repeated] of [
  ["?query={pay}", true],
  ["?query=mutation{pay note}", false],
  ["?extensions={}", true],
  ["?documentId=abc", true],
  ["?page=2", false],
] as const) {
  test(`fetch: GET ${search} that is refused with 200 is ${repeated ? "repeated" : "not repeated"}`, async () => {
    const { world, pawl } = await signedIn();
    const { seen, fetch } = spy(Response.json(refusal));
    await world.clock.until(createFetch(pawl, { fetch })(url + search));
    assert.equal(seen.length, repeated ? 2 : 1);
  });
}

test("fetch: a persisted document that is refused with 401 is repeated unless something was carried out", async () => {
  for (const [body, requests] of [
    [{ errors: [{ message: "no", extensions: { code: "UNAUTHENTICATED" } }] }, 2],
    ["no", 2],
    [{ ...refusal, data: { pay: null, note: { id: 1 } } }, 1],
  ] as const) {
    const { world, pawl } = await signedIn();
    const { seen, fetch } = spy(Response.json(body, { status: 401 }));
    await world.clock.until(createFetch(pawl, { fetch })(url, ask({ documentId: "abc" })));
    assert.equal(seen.length, requests);
  }
});

/** A body that begins and never ends, and what is still of it when nobody reads. */
function endless(type: string): Response {
  const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("{}\n")) });
  return new Response(body, { headers: { "content-type": type } });
}

for (const type of [
  "application/x-ndjson",
  "application/jsonl",
  "application/json-seq",
  "application/json+stream",
  "application/stream+json",
  "text/event-stream",
  'multipart/mixed; boundary="-"; deferSpec=20220824',
  "text/plain",
]) {
  for (const status of [200, 401]) {
    test(`fetch: ${type} with ${status} is not waited for`, async () => {
      const { world, pawl } = await signedIn();
      const { seen, fetch } = spy(...(status === 200 ? [endless(type)] : [new Response(endless(type).body, { status, headers: { "content-type": type } })]));
      const response = await world.clock.until(createFetch(pawl, { fetch })(url, ask({ query: "{ a }" })));
      assert.equal(seen.length, status === 200 ? 1 : 2);
      if (status === 200) assert.equal(new TextDecoder().decode((await response.body!.getReader().read()).value), "{}\n");
    });
  }
}

test("fetch: the JSON answer to what is no GraphQL request is not waited for", async () => {
  const { world, pawl } = await signedIn();
  const requests: [string, RequestInit?][] = [[url], ["https://pawl.test/chat", ask({ query: "hello" })], [url, ask({})]];
  for (const [to, init] of requests) {
    const { fetch } = spy(endless("application/json"));
    const response = await world.clock.until(createFetch(pawl, { fetch })(to, init));
    assert.equal(response.status, 200);
  }
});

test("fetch: an answer that breaks off is the caller's to read", async () => {
  const { world, pawl } = await signedIn();
  const body = new ReadableStream({ start: (controller) => controller.error(new Error("reset")) });
  const { fetch } = spy(new Response(body, { headers: { "content-type": "application/json" } }));
  const response = await world.clock.until(createFetch(pawl, { fetch })(url, ask({ query: "mutation { pay }" })));
  await assert.rejects(response.text(), { message: "reset" });
});

test("fetch: answers of any shape are handed on", async () => {
  const { world, pawl } = await signedIn();
  for (const body of [null, 1, [], { errors: "UNAUTHENTICATED" }, { errors: [null, "UNAUTHENTICATED"] }]) {
    const { fetch } = spy(Response.json(body));
    const response = await world.clock.until(createFetch(pawl, { fetch })(url, ask({ query: "mutation { pay }" })));
    assert.deepEqual(await response.json(), body);
  }
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
