// Pages and scripts that mean harm.

import assert from "node:assert/strict";
import { test } from "node:test";
import { password } from "../world/pawl.mjs";
import { answers, ask, shows, until, visit } from "../world/world.mjs";

const mutations = (email) => [
  `mutation{login(input:{email:"${email}",password:"${password}"}){__typename}}`,
  "mutation{refreshToken{rotated accessToken{token}}}",
  "mutation{logout{sessionId}}",
];

/** In a hostile page: everything a page can send without being asked. Comes to the number of requests. */
async function attack([url, documents]) {
  let sent = 0;
  const quietly = (work) => Promise.resolve(work).catch(() => {});
  const json = (query) => JSON.stringify({ query });
  const frame = (name) => document.body.appendChild(Object.assign(document.createElement("iframe"), { name }));

  function submit(name, fields, enctype) {
    const form = document.body.appendChild(document.createElement("form"));
    Object.assign(form, { method: "POST", action: url, target: name, enctype });
    for (const [name, value] of Object.entries(fields)) {
      form.append(Object.assign(document.createElement("input"), { name, value }));
    }
    const loaded = new Promise((done) => (frame(name).onload = done));
    form.submit();
    return loaded;
  }

  const post = { method: "POST", credentials: "include" };
  for (const query of documents) {
    const id = `f${sent}`;
    const halves = json(query).split(":"); // name=value: an = takes the place of the colon, and JSON does not mind
    await quietly(fetch(url, { ...post, headers: { "content-type": "application/json" }, body: json(query) }));
    await quietly(fetch(url, { ...post, mode: "no-cors", body: json(query) }));
    await quietly(fetch(url, { ...post, mode: "no-cors", body: new URLSearchParams({ query }) }));
    await quietly(fetch(`${url}?${new URLSearchParams({ query })}`, { credentials: "include", mode: "no-cors" }));
    navigator.sendBeacon(url, json(query));
    await submit(`${id}a`, { '{"a': `":0,${json(query).slice(1)}` }, "text/plain");
    await submit(`${id}b`, { query }, "application/x-www-form-urlencoded");
    await submit(`${id}c`, { [halves[0]]: halves.slice(1).join(":") }, "multipart/form-data");
    // Without an origin of its own.
    const nobody = frame(`${id}d`);
    nobody.sandbox = "allow-scripts allow-forms";
    const told = new Promise((done) => addEventListener("message", done, { once: true }));
    nobody.srcdoc = `<script>fetch(${JSON.stringify(url)}, {method: "POST", mode: "no-cors", credentials: "include",
      body: ${JSON.stringify(json(query)).replaceAll("<", "\\u003c")}}).catch(() => {}).then(() => parent.postMessage("done", "*"))</script>`;
    await told;
    sent += 9;
  }
  return sent;
}

/** In the application's page: everything that a script finds or gets. */
async function plunder([url, email, password]) {
  const loot = [
    document.cookie,
    JSON.stringify(localStorage),
    JSON.stringify(sessionStorage),
    document.documentElement.outerHTML,
  ];
  loot.push(JSON.stringify(await cookieStore.getAll()));
  loot.push(JSON.stringify(await indexedDB.databases()), JSON.stringify(await caches.keys()));
  const seen = new WeakSet();
  const dig = (_key, value) => {
    if (typeof value !== "object" || value === null) return value;
    return seen.has(value) ? undefined : (seen.add(value), value);
  };
  loot.push(JSON.stringify(app, dig));

  async function take(query, variables) {
    const headers = { "content-type": "application/json", authorization: `Bearer ${await app.pawl.getAccessToken()}` };
    const response = await fetch(url, {
      method: "POST",
      credentials: "include",
      headers,
      body: JSON.stringify({ query, variables }),
    });
    loot.push(JSON.stringify([...response.headers]), await response.text());
    return loot.at(-1);
  }
  const attemptId = "attempt-id-of-a-thief-0123";
  const refresh = await take(
    `mutation { refreshToken(input: {attemptId: "${attemptId}"}) { refreshToken rotated accessToken { token } } }`,
  );
  const input = { email, password, refreshTokenDelivery: "BODY" };
  const body = await take(
    "mutation($input: LoginInput!) { login(input: $input) { ... on LoginPayload { refreshToken deviceToken } } }",
    { input },
  );
  const cookie = await take(
    "mutation($input: LoginInput!) { login(input: $input) { ... on LoginPayload { refreshToken deviceToken } } }",
    { input: { email, password } },
  );
  loot.push(document.cookie);
  return { loot: loot.join("\n"), refresh, body, cookie };
}

export function attackCases(world) {
  for (const [place, host] of [
    ["another site", "evil.test"],
    ["an unlisted origin of the same site", "localhost"],
  ]) {
    test(`${place} cannot log in, refresh or log out`, async (t) => {
      const person = await visit(t, world);
      const [tab] = await person.signedIn();
      const villain = await person.server.addUser();
      const cookie = await person.refreshCookie();
      const origin = `http://${host}:${world.foreignPort}`;
      const known = person.relay.exchanges.length;

      const hostile = await person.context.newPage();
      await hostile.goto(origin);
      const sent = await hostile.evaluate(attack, [`${person.relay.url}/graphql`, mutations(villain)]);
      const hostileExchanges = () => person.relay.exchanges.slice(known);
      await until(() => hostileExchanges().length >= sent);

      const seen = hostileExchanges();
      const origins = new Set(seen.map(({ origin }) => origin));
      assert.deepEqual(origins, new Set([origin, "null", undefined]), "the origins of what arrived");
      for (const { method, status, setCookie, text } of seen) {
        assert.ok(status >= 400, `${method} was answered with ${status}: ${text}`);
        assert.ok(!setCookie, `${method} set a cookie`);
      }
      const carried = seen.filter(({ method, cookie }) => method === "POST" && cookie.includes(person.server.cookie));
      if (host === "evil.test") assert.equal(carried.length, 0, "requests with the cookie");
      else assert.ok(carried.length >= mutations("").length, "no request carried the cookie: this proves nothing");

      assert.equal((await person.refreshCookie()).value, cookie.value);
      assert.equal(await person.server.sessions(person.email), 1);
      assert.equal(await person.server.sessions(villain), 0);
      await tab.evaluate(() => app.pawl.refresh().then(() => {}));
      assert.deepEqual(await ask([tab], 1), answers(1, person.email));
    });
  }

  test("a script in the page neither reads nor obtains the refresh token", async (t) => {
    const person = await visit(t, world);
    const [tab] = await person.signedIn();
    const first = (await person.refreshCookie()).value;
    const { loot, ...answered } = await tab.evaluate(plunder, [`${person.relay.url}/graphql`, person.email, password]);
    const last = (await person.refreshCookie()).value;
    assert.notEqual(last, first, "the script refreshed nothing: this proves nothing");
    for (const { value } of [{ value: first }, ...(await person.context.cookies(person.relay.url))]) {
      assert.ok(!loot.includes(value), "the script holds a cookie's value");
    }
    assert.match(answered.refresh, /"refreshToken":null/);
    assert.match(answered.body, /"CROSS_ORIGIN_REQUEST"/);
    assert.match(answered.cookie, /"refreshToken":null,"deviceToken":null/);
  });

  test("the page's policy keeps injected scripts from running", async (t) => {
    const person = await visit(t, world);
    const tab = await person.tab();
    await tab.evaluate(() => {
      globalThis.violations = [];
      addEventListener("securitypolicyviolation", ({ violatedDirective }) => violations.push(violatedDirective));
      document.body.insertAdjacentHTML("beforeend", '<img src="x" onerror="globalThis.stolen = 1">');
      document.body.append(Object.assign(document.createElement("script"), { textContent: "globalThis.stolen = 2" }));
    });
    await until(() => tab.evaluate(() => violations.some((directive) => directive.startsWith("script-src"))));
    assert.equal(await tab.evaluate(() => globalThis.stolen), undefined);
    await shows(tab, "unknown");
  });
}
