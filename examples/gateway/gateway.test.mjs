import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { startPawl } from "../test/pawl.mjs";
import { createGateway } from "./gateway.mjs";
import { parse } from "graphql";
import { createOrders } from "./orders.mjs";
import { createPawlExecutor } from "./pawl.mjs";

const ORIGIN = "http://localhost:3000"; // on the list of pawl dev
const LOGIN = `mutation { login(input: {email: "demo@example.com", password: "correct horse battery staple"}) {
  __typename ... on LoginPayload { accessToken { token } session { id } refreshToken } } }`;
const REFRESH = `mutation { refreshToken { rotated refreshToken accessToken { token } } }`;

const stops = [];
const t = { after: (stop) => stops.unshift(stop) };
const seen = []; // the requests that reached the other service
let pawl;
let gateway;

async function listen(handler) {
  const server = createServer(handler);
  await new Promise((done) => server.listen(0, "localhost", done));
  t.after(() => server.close().closeAllConnections());
  return `http://localhost:${server.address().port}/graphql`;
}

before(async () => {
  pawl = await startPawl(t, { PAWL_TRUSTED_PROXIES: "127.0.0.1/32,::1/128" });
  const orders = createOrders({ pawlUrl: pawl.url, issuer: "pawl-dev", audience: "pawl-dev" });
  const ordersUrl = await listen((request, response) => {
    seen.push(request.headers);
    return orders(request, response);
  });
  gateway = await listen(createGateway({ pawlUrl: pawl.url, ordersUrl, origins: [ORIGIN] }));
});
after(async () => {
  for (const stop of stops) await stop();
});

async function ask(query, headers = {}) {
  const answer = await fetch(gateway, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query }),
  });
  const cookies = answer.headers.getSetCookie();
  return { ...(await answer.json()), headers: answer.headers, cookies, cookie: cookies.map((line) => line.split(";")[0]).join("; ") };
}

const code = ({ errors }) => errors?.[0].extensions.code;

test("a browser signs in, refreshes and signs out with its cookie", async () => {
  const login = await ask(LOGIN, { origin: ORIGIN });
  assert.equal(login.data.login.__typename, "LoginPayload", JSON.stringify(login.errors));
  assert.equal(login.data.login.refreshToken, null);
  assert.ok(login.cookies.length >= 2, "the cookies of the session and of the device");
  assert.match(login.cookies.join("\n"), /^pawl-refresh=[^;]+;.*HttpOnly.*SameSite=Strict/m);
  assert.equal(login.headers.get("access-control-allow-origin"), ORIGIN);
  assert.equal(login.headers.get("cache-control"), "no-store");

  const refreshed = await ask(REFRESH, { origin: ORIGIN, cookie: login.cookie });
  assert.equal(refreshed.data.refreshToken.rotated, true, JSON.stringify(refreshed.errors));
  assert.notEqual(refreshed.cookie, "");

  const out = await ask("mutation { logout { sessionId } }", { origin: ORIGIN, cookie: refreshed.cookie });
  assert.equal(out.data.logout.sessionId, login.data.login.session.id);
  assert.match(out.cookies.join("\n"), /^pawl-refresh=;.*Max-Age=0/m);
});

test("another page's origin reaches Pawl as it is, and is refused", async () => {
  const { cookie } = await ask(LOGIN, { origin: ORIGIN });
  for (const headers of [{ origin: "https://evil.example" }, {}, { origin: ORIGIN, "sec-fetch-site": "cross-site" }]) {
    const answer = await ask(REFRESH, { cookie, ...headers });
    assert.equal(code(answer), "CROSS_ORIGIN_REQUEST", JSON.stringify(headers));
    assert.deepEqual(answer.cookies, []);
  }
  assert.equal((await ask(REFRESH, { origin: ORIGIN, cookie })).data.refreshToken.rotated, true, "nothing was consumed");
});

test("the access token reaches both services, the cookie only Pawl", async () => {
  const { cookie, data } = await ask(LOGIN, { origin: ORIGIN });
  const authorization = `Bearer ${data.login.accessToken.token}`;
  seen.length = 0;
  const answer = await ask("{ me { id email } orders { item } }", { authorization, cookie, origin: ORIGIN });
  assert.equal(answer.errors, undefined);
  assert.equal(answer.data.me.email, "demo@example.com");
  assert.deepEqual(answer.data.orders, [{ item: `tea for ${answer.data.me.id}` }]);
  assert.deepEqual(answer.cookies, []);
  assert.equal(seen.length, 1);
  assert.deepEqual([seen[0].authorization, seen[0].cookie], [authorization, undefined]);
});

test("errors of both keep their codes", async () => {
  const answer = await ask("{ me { id } orders { item } }", { origin: ORIGIN });
  assert.deepEqual(answer.data, { me: null, orders: null });
  const codes = answer.errors.map(({ extensions: e }) => [e.code, e.reason]);
  assert.deepEqual(codes, Array(2).fill(["UNAUTHENTICATED", "TOKEN_MISSING"]));
});

test("the session list shows the visitor's address", async () => {
  const headers = { origin: ORIGIN, "x-forwarded-for": "198.51.100.1, 203.0.113.9", "user-agent": "test browser" };
  const { data } = await ask(LOGIN, headers);
  const authorization = `Bearer ${data.login.accessToken.token}`;
  const answer = await ask("{ mySessions { current ipAddress userAgent } }", { ...headers, authorization });
  const { ipAddress, userAgent } = answer.data.mySessions.find(({ current }) => current);
  // The gateway's own entry is trusted, the next one is the visitor, the rest is hearsay.
  assert.deepEqual([ipAddress, userAgent], ["203.0.113.9", "test browser"]);
});

test("the visitor's address as the gateway sees it comes last", async () => {
  const lists = [];
  const url = await listen((request, response) => response.end(JSON.stringify(lists.push(request.headers["x-forwarded-for"]))));
  const execute = createPawlExecutor(url);
  for (const headers of [{}, { "x-forwarded-for": "198.51.100.1" }]) {
    const context = { request: new Request(url, { headers }), visitorAddress: "203.0.113.9", forVisitor: new Headers() };
    await execute({ document: parse("{ me { id } }"), context });
  }
  assert.deepEqual(lists, ["203.0.113.9", "198.51.100.1, 203.0.113.9"]);
});

test("a page may ask, others may not", async () => {
  const preflight = (origin) =>
    fetch(gateway, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type" },
    });
  assert.equal((await preflight(ORIGIN)).headers.get("access-control-allow-credentials"), "true");
  assert.notEqual((await preflight("https://evil.example")).headers.get("access-control-allow-origin"), "https://evil.example");
});

test("only JSON by POST is accepted", async () => {
  const query = encodeURIComponent("{ __typename }");
  const post = (type, body) => fetch(gateway, { method: "POST", headers: { "content-type": type }, body });
  assert.equal((await fetch(`${gateway}?query=${query}`)).status, 405);
  assert.equal((await post("application/x-www-form-urlencoded", `query=${query}`)).status, 415);
  assert.equal((await post("text/plain", '{"query":"{ __typename }"}')).status, 415);
  assert.equal((await post("application/json; charset=utf-8", '{"query":"{ __typename }"}')).status, 200);
});

test("while Pawl is down, the answer is to try again", async () => {
  const { cookie } = await ask(LOGIN, { origin: ORIGIN });
  await pawl.stop();
  assert.equal(code(await ask(REFRESH, { origin: ORIGIN, cookie })), "UNAVAILABLE");
  await pawl.start();
  assert.equal((await ask(REFRESH, { origin: ORIGIN, cookie })).data.refreshToken.rotated, true);
});
