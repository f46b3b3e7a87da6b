// A day of a phone, step by step, against a running Pawl:
//
//   node story.mjs                PAWL_URL=http://localhost:8080 unless set
//
// It ends with code 1 at the first step that goes otherwise.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const { PAWL_URL = "http://localhost:8080", PAWL_REUSE_GRACE = "10s" } = process.env;
const EMAIL = "demo@example.com";
const PASSWORD = "correct horse battery staple";
const grace = Number.parseFloat(PAWL_REUSE_GRACE) * 1000;

const folder = mkdtempSync(join(tmpdir(), "phone-"));
const file = join(folder, "phone.json");
const stored = () => JSON.parse(readFileSync(file, "utf8"));

/** A token as the story shows it: enough to compare. */
const print = (token) => createHash("sha256").update(token).digest("hex").slice(0, 8);

let steps = 0;
const step = (title) => console.log(`\n${++steps}. ${title}`);
const say = (text) => console.log(`   ${text}`);

// The mobile network: hands requests on, and answers back unless it loses them.
const network = Object.assign(new EventEmitter(), { losesAnswers: false });
const tower = createServer(async (request, response) => {
  const body = await text(request);
  const { "content-type": type, authorization } = request.headers;
  const headers = { "content-type": type, ...(authorization && { authorization }) };
  const answer = await fetch(PAWL_URL + request.url, { method: "POST", headers, body });
  const result = await answer.json();
  if (network.losesAnswers) return network.emit("lost", result);
  response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(result));
});
await new Promise((done) => tower.listen(0, "localhost", done));

/** Starts the app for one command. */
function start(...command) {
  const env = { ...process.env, PAWL_URL: `http://localhost:${tower.address().port}`, PHONE_FILE: file };
  return spawn(process.execPath, [join(import.meta.dirname, "phone.mjs"), ...command], { env, stdio: ["ignore", "pipe", "inherit"] });
}

/** Runs a command of the app to its end. */
async function phone(...command) {
  const app = start(...command);
  const [said, [code]] = await Promise.all([text(app.stdout), once(app, "exit")]);
  assert.equal(code, 0, `phone.mjs ${command[0]} failed`);
  return JSON.parse(said);
}

/** Asks Pawl from somewhere else. */
async function ask(query, input) {
  const body = JSON.stringify({ query, variables: { input } });
  return (await fetch(`${PAWL_URL}/graphql`, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
}

/** A login without the phone's device token. */
async function stranger(password) {
  const input = { email: EMAIL, password, refreshTokenDelivery: "BODY" };
  return (await ask("mutation ($input: LoginInput!) { login(input: $input) { __typename } }", input)).data.login.__typename;
}

/** Why a refresh token is refused. */
async function refusal(refreshToken) {
  const input = { refreshToken, attemptId: "an-attempt-of-somebody-else" };
  const { errors } = await ask("mutation ($input: RefreshTokenInput) { refreshToken(input: $input) { rotated } }", input);
  return errors?.[0].extensions.reason;
}

try {
  step("Ann signs in. The app asks for BODY delivery and stores two tokens.");
  assert.equal((await phone("login", EMAIL, PASSWORD)).user.email, EMAIL);
  const first = stored();
  say(`refresh token ${print(first.refreshToken)}, device token ${print(first.deviceToken)}`);

  step("The app refreshes in a tunnel: Pawl answers, and the answer is lost.");
  network.losesAnswers = true;
  const app = start("refresh");
  const [lost] = await once(network, "lost");
  const successor = lost.data.refreshToken.refreshToken;
  say(`Pawl replaced ${print(first.refreshToken)} by ${print(successor)}; the phone does not know`);
  assert.notEqual(successor, first.refreshToken);

  step("The system kills the app.");
  app.kill("SIGKILL");
  await once(app, "exit");
  const { attemptId } = stored();
  assert.equal(stored().refreshToken, first.refreshToken);
  say(`stored: the spent token ${print(first.refreshToken)}, and attempt ${attemptId}`);

  step(`The reuse grace passes (${PAWL_REUSE_GRACE}). From now on a spent token looks stolen …`);
  await sleep(grace + 500);
  network.losesAnswers = false;

  step("… but the app starts again and repeats its attempt: it gets the answer that was lost.");
  const again = await phone("refresh");
  assert.equal(again.attemptId, attemptId);
  assert.equal(again.refreshToken, successor);
  assert.equal(again.rotated, false);
  assert.equal(stored().attemptId, undefined);
  say(`refresh token ${print(again.refreshToken)}, the same as in step 2; the attempt is over`);

  step("Life goes on: the next refresh is a new attempt with a new token.");
  assert.equal((await phone("me")).email, EMAIL);
  assert.notEqual(stored().refreshToken, successor);
  say(`refresh token ${print(stored().refreshToken)}; me: ${EMAIL}`);

  step("Ann signs out. The device token stays.");
  const old = stored().refreshToken;
  assert.ok((await phone("logout")).sessionId);
  assert.deepEqual(stored(), { deviceToken: first.deviceToken });
  assert.deepEqual(await phone("refresh"), { signedOut: "MISSING" });
  assert.equal(await refusal(old), "REVOKED");
  say(`refresh token ${print(old)} is forgotten here and worthless there`);

  step("Somebody guesses at Ann's password until Pawl makes all strangers wait.");
  let guesses = 0;
  while ((await stranger("wrong guess number " + guesses)) === "InvalidCredentialsError") guesses++;
  assert.equal(await stranger(PASSWORD), "TooManyAttemptsError");
  say(`after ${guesses} guesses; even the right password has to wait`);

  step("Ann's phone shows its device token, and signs in at once.");
  assert.equal((await phone("login", EMAIL, PASSWORD)).__typename, "LoginPayload");
  await phone("logout");
  say("signed in, and out again");
  console.log("\nAll as it should be.");
} finally {
  tower.close();
  tower.closeAllConnections();
  rmSync(folder, { recursive: true });
}
