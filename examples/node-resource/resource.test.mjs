import assert from "node:assert/strict";
import { createHmac, createPublicKey, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { createServer, request as httpRequest } from "node:http";
import { after, before, describe, test } from "node:test";
import { createApp } from "./app.mjs";
import { startPawl } from "../test/pawl.mjs";
import { createVerifier } from "./verify.mjs";

const MISSING = 'Bearer realm="orders"';
const INVALID = `${MISSING}, error="invalid_token"`;
const EXPIRED = `${INVALID}, error_description="expired"`;

/** Listens on a free port until the test ends. */
async function listen(t, server) {
  await new Promise((done) => server.listen(0, "localhost", done));
  t.after(() => server.close().closeAllConnections());
  return `http://localhost:${server.address().port}`;
}

/** Serves the example with the keys of a Pawl. */
function resource(t, pawlUrl, unknownEvery = 3_600_000) {
  const jwksUrl = `${pawlUrl}/.well-known/jwks.json`;
  return listen(t, createApp(createVerifier({ jwksUrl, issuer: "pawl-dev", audience: "pawl-dev", unknownEvery })));
}

/** Status and challenge for a request with these Authorization headers. */
function get(url, ...authorization) {
  return new Promise((resolve, reject) => {
    const headers = authorization.flatMap((value) => ["Authorization", value]);
    const request = httpRequest(url, { headers: ["Host", new URL(url).host, ...headers] }, (response) => {
      response.resume().on("end", () =>
        resolve({ status: response.statusCode, challenge: response.headers["www-authenticate"], retryAfter: response.headers["retry-after"] }),
      );
    });
    request.on("error", reject).end();
  });
}

const bearing = async (base, token) => (await get(`${base}/orders`, `Bearer ${token}`)).status;

async function refuses(base, token, challenge = INVALID) {
  const { status, challenge: got } = await get(`${base}/orders`, `Bearer ${token}`);
  assert.deepEqual({ status, challenge: got }, { status: 401, challenge });
}

const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
const decode = (part) => JSON.parse(Buffer.from(part, "base64url"));

/** Signs a copy of a good token, changed by `header` and `claims`; undefined removes. */
function forge(good, signature, { header = {}, claims = {} } = {}) {
  const [head, body] = good.split(".", 2).map(decode);
  const text = `${encode({ ...head, ...header })}.${encode({ ...body, ...claims })}`;
  return `${text}.${signature(text).toString("base64url")}`;
}

const signer = (key, hash, options = {}) => (text) => sign(hash, Buffer.from(text), { key, ...options });
const ed25519 = (key) => signer(key, null);
const hmac = (secret) => (text) => createHmac("sha256", secret).update(text).digest();

/** The ways in which somebody may write a public key down and use it as the secret of HS256. */
function publicForms(privateKey) {
  const key = createPublicKey(privateKey);
  const { x } = key.export({ format: "jwk" });
  const forms = { PEM: key.export({ type: "spki", format: "pem" }), DER: key.export({ type: "spki", format: "der" }) };
  return x ? { ...forms, bytes: Buffer.from(x, "base64url"), "JWK's x": x } : forms;
}

const seconds = (fromNow) => Math.floor(Date.now() / 1000) + fromNow;

describe("with a running Pawl", () => {
  const stops = [];
  const t = { after: (stop) => stops.unshift(stop) };
  let pawl, base, good, refresh, signature;
  before(async () => {
    pawl = await startPawl(t);
    base = await resource(t, pawl.url);
    ({ access: good, refresh } = await pawl.login());
    signature = ed25519(pawl.signingKey());
  });
  after(async () => {
    for (const stop of stops) await stop();
  });

  test("accepts real tokens, by role", async () => {
    const { access: admin } = await pawl.login("admin@example.com");
    assert.equal(await bearing(base, good), 200);
    assert.equal((await get(`${base}/orders`, `bearer ${good}`)).status, 200);
    assert.equal((await get(`${base}/reports`, `Bearer ${admin}`)).status, 200);
    const { status, challenge } = await get(`${base}/reports`, `Bearer ${good}`);
    assert.equal(status, 403);
    assert.match(challenge, /insufficient_scope/);
  });

  test("accepts a forged token that is changed in nothing", async () => {
    assert.equal(await bearing(base, forge(good, signature)), 200);
    assert.equal(await bearing(base, forge(good, signature, { claims: { exp: seconds(-5) } })), 200);
  });

  const changes = {
    "other audience": { claims: { aud: "https://else.example.com" } },
    "no audience": { claims: { aud: undefined } },
    "other issuer": { claims: { iss: "https://else.example.com" } },
    "no issuer": { claims: { iss: undefined } },
    "no expiry": { claims: { exp: undefined } },
    "issued in the future": { claims: { iat: seconds(3600) } },
    "no user": { claims: { sub: undefined } },
    "no session": { claims: { sid: undefined } },
    "expiry is text": { claims: { exp: `${seconds(60)}` } },
    "expiry is null": { claims: { exp: null } },
    "not before, as text": { claims: { nbf: "1" } },
    "issued, as text": { claims: { iat: "1" } },
    "user is a number": { claims: { sub: 1 } },
    "session is a list": { claims: { sid: ["x"] } },
    "role is null": { claims: { role: null } },
    "audience and a number": { claims: { aud: ["pawl-dev", 1] } },
    "type JWT": { header: { typ: "JWT" } },
    "no type": { header: { typ: undefined } },
    "no key named": { header: { kid: undefined } },
    "unknown key named": { header: { kid: "nobody" } },
    "unknown extension": { header: { crit: ["x"], x: 1 } },
    "too long": { claims: { x: "x".repeat(4096) } },
  };
  for (const [name, change] of Object.entries(changes)) {
    test(`refuses: ${name}`, () => refuses(base, forge(good, signature, change)));
  }

  test("refuses: an expiry beyond all numbers", () => {
    const [head, body] = good.split(".");
    const claims = JSON.stringify(decode(body)).replace(/"exp":\d+/, '"exp":1e999');
    const text = `${head}.${Buffer.from(claims).toString("base64url")}`;
    return refuses(base, `${text}.${signature(text).toString("base64url")}`);
  });

  test("refuses: expired", () => refuses(base, forge(good, signature, { claims: { exp: seconds(-3600) } }), EXPIRED));
  test("refuses: alg none", async () => {
    await refuses(base, forge(good, () => Buffer.alloc(0), { header: { alg: "none" } }));
    await refuses(base, forge(good, signature, { header: { alg: "none" } }));
  });
  test("refuses: HS256 with the public key as secret", async () => {
    for (const secret of Object.values(publicForms(pawl.signingKey()))) {
      await refuses(base, forge(good, hmac(secret), { header: { alg: "HS256" } }));
    }
  });
  test("refuses: foreign key, attached or not", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const jwk = createPublicKey(privateKey).export({ format: "jwk" });
    await refuses(base, forge(good, ed25519(privateKey)));
    await refuses(base, forge(good, ed25519(privateKey), { header: { jwk, jku: "http://localhost:9/jwks.json" } }));
  });
  test("refuses: changed afterwards, refresh token, nothing, rubbish", async () => {
    for (const token of [`${good.slice(0, -4)}AAAA`, refresh, "", "a.b.c", "…"]) await refuses(base, encodeURI(token));
  });
  test("refuses: other schemes", async () => {
    const other = [[], [`Basic ${good}`], [`DPoP ${good}`], [good], [`Bearer ${good}`, `Bearer ${good}`], ["Basic eDp5", `Bearer ${good}`]];
    for (const headers of other) {
      const { status, challenge } = await get(`${base}/orders`, ...headers);
      assert.deepEqual({ status, challenge }, { status: 401, challenge: MISSING }, headers.join(" + "));
    }
    assert.equal((await get(`${base}/orders?access_token=${good}`)).status, 401);
  });
});

test("a key rotation needs no restart", async (t) => {
  const pawl = await startPawl(t);
  const base = await resource(t, pawl.url, 50);
  const once = await resource(t, pawl.url, 0); // for many new tokens at a time
  const { access: first } = await pawl.login();
  assert.equal(await bearing(base, first), 200);
  assert.equal(await bearing(once, first), 200);

  // A second key signs, the first one is still published.
  pawl.addKey("ES256");
  await pawl.stop();
  assert.equal(await bearing(base, first), 200, "Pawl is not asked");
  await pawl.start();
  const { access: second } = await pawl.login();
  assert.equal(await bearing(base, second), 200);
  assert.equal(await bearing(base, first), 200);
  const statuses = await Promise.all(Array.from({ length: 10 }, () => bearing(once, second)));
  assert.deepEqual(statuses, Array(10).fill(200));

  // The algorithm belongs to the key: a good signature of another kind is refused.
  const es256 = signer(pawl.signingKey(), "sha256", { dsaEncoding: "ieee-p1363" });
  assert.equal(await bearing(base, forge(second, es256)), 200);
  await refuses(base, forge(first, es256, { header: { alg: "ES256" } }));

  // A third key signs, the first one is gone.
  pawl.removeOldestKey();
  pawl.addKey("RS256");
  await pawl.restart();
  const { access: third } = await pawl.login();
  assert.equal(await bearing(base, third), 200);
  assert.equal(await bearing(base, second), 200);
  await refuses(base, first);
  const rsa = pawl.signingKey();
  await refuses(base, forge(third, signer(rsa, "sha512"), { header: { alg: "RS512" } }));
  await refuses(base, forge(third, signer(rsa, "sha256", { padding: 6, saltLength: 32 }), { header: { alg: "PS256" } }));
  for (const secret of Object.values(publicForms(rsa))) {
    await refuses(base, forge(third, hmac(secret), { header: { alg: "HS256" } }));
  }
});

test("invented key names do not make it flood Pawl", async (t) => {
  const pawl = await startPawl(t);
  const { access: good } = await pawl.login();
  let fetched = 0;
  const between = createServer(async (request, response) => {
    fetched++;
    response.end(await (await fetch(pawl.url + request.url)).text());
  });
  const base = await resource(t, await listen(t, between));
  assert.equal(await bearing(base, good), 200);
  const signature = ed25519(pawl.signingKey());
  for (let i = 0; i < 50; i++) await refuses(base, forge(good, signature, { header: { kid: randomUUID() } }));
  assert.equal(await bearing(base, good), 200);
  assert.ok(fetched <= 2, `50 unknown keys: ${fetched} fetches, want at most 2`);
});

test("started before Pawl, it answers 503 and then needs no restart", async (t) => {
  const pawl = await startPawl(t);
  const { access: good } = await pawl.login();
  await pawl.stop();
  const base = await resource(t, pawl.url);
  const { status, retryAfter } = await get(`${base}/orders`, `Bearer ${good}`);
  assert.deepEqual({ status, retryAfter }, { status: 503, retryAfter: "5" });
  await pawl.start();
  assert.equal(await bearing(base, good), 200);
});
