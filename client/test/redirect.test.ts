import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { createClient, memoryStorage } from "../src/index.js";
import { person } from "./world.js";

async function listen(server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

for (const status of [301, 302, 303, 307, 308]) {
  test(`a redirect with ${status} is not followed: no password and no token reach another origin`, async (t) => {
    const received: string[] = [];
    const other = createServer((request, response) => {
      received.push(`${request.method} ${request.url}`);
      response.setHeader("content-type", "application/json").end('{"data":{"result":{}}}');
    });
    const location = await listen(other);
    const redirecting = createServer((request, response) => {
      request.resume().on("end", () => response.writeHead(status, { location: `${location}/graphql` }).end());
    });
    const url = `${await listen(redirecting)}/graphql`;
    t.after(() => [other, redirecting].forEach((server) => server.close().closeAllConnections()));

    const storage = memoryStorage();
    storage.set("pawl.refresh", "token");
    const client = createClient({ url, delivery: "BODY", storage, patience: 0 });
    const failed = { code: "NETWORK_ERROR", message: new RegExp(String(status)) };
    await assert.rejects(client.login(person), failed);
    await assert.rejects(client.refresh(), failed);
    await assert.rejects(client.logout(), failed);
    assert.deepEqual(received, []);
    assert.equal(storage.get("pawl.refresh"), "token");
  });
}

test("the redirect of a browser, which shows nothing of it, is told as one", async () => {
  const opaque = { type: "opaqueredirect", status: 0, json: () => Promise.reject(new SyntaxError("no body")) } as Response;
  const modes: unknown[] = [];
  const fetch: typeof globalThis.fetch = async (_, init) => {
    modes.push(init?.redirect);
    return opaque;
  };
  const client = createClient({ url: "https://pawl.test/graphql", fetch, locks: null, channel: null });
  await assert.rejects(client.login(person), { code: "NETWORK_ERROR", message: "HTTP redirect" });
  assert.deepEqual(modes, ["manual"]);
});
