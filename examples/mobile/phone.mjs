// What an app on a phone does to stay signed in. Translate it to your platform;
// with React Native, use the client package instead (client/README.md).
//
//   node phone.mjs login EMAIL PASSWORD | refresh | me | logout
//
// Each command is a process of its own that knows only what PHONE_FILE says, so
// every step is also a restart of the app. It prints what happened as JSON.
import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";

const { PAWL_URL = "http://localhost:8080", PHONE_FILE = "./phone.json" } = process.env;
const TIMEOUT = { refresh: 5000, login: 20_000 }; // the first: half of Pawl's reuse grace

// The storage: { refreshToken, deviceToken, attemptId }. A real app uses the
// Keychain or the Keystore. What matters: a write is whole or not at all.
function load() {
  try {
    return JSON.parse(readFileSync(PHONE_FILE, "utf8"));
  } catch {
    return {};
  }
}
function save(state) {
  writeFileSync(`${PHONE_FILE}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${PHONE_FILE}.new`, PHONE_FILE);
}

/** Sends an operation and returns its field. An error has the `code` and `reason` of the answer. */
async function send(query, variables, { accessToken, timeout = TIMEOUT.refresh } = {}) {
  const answer = await fetch(`${PAWL_URL}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(accessToken && { authorization: `Bearer ${accessToken}` }) },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(timeout),
  });
  const { data, errors } = await answer.json();
  if (errors) throw Object.assign(new Error(errors[0].message), errors[0].extensions);
  return Object.values(data)[0];
}

async function login(email, password) {
  const { deviceToken } = load(); // proves that its owner signed in on this phone before
  const answer = await send(
    `mutation ($input: LoginInput!) {
      login(input: $input) {
        __typename
        ... on LoginPayload { accessToken { token } refreshToken deviceToken user { email } }
        ... on UserError { message }
        ... on TooManyAttemptsError { retryAfter }
      }
    }`,
    { input: { email, password, deviceName: "Ann's phone", deviceToken, refreshTokenDelivery: "BODY" } },
    { timeout: TIMEOUT.login },
  );
  if (answer.__typename !== "LoginPayload") return answer;
  save({ refreshToken: answer.refreshToken, deviceToken: answer.deviceToken });
  return answer;
}

async function refresh() {
  const { attemptId = randomBytes(16).toString("base64url"), ...state } = load();
  if (!state.refreshToken) return { signedOut: "MISSING" };
  // Before the request goes out. If its answer is lost, whoever starts next
  // finds the id here and repeats the request: it gets the same answer.
  save({ ...state, attemptId });
  try {
    const answer = await send(
      `mutation ($input: RefreshTokenInput) {
        refreshToken(input: $input) { rotated refreshToken accessToken { token expiresIn } }
      }`,
      { input: { refreshToken: state.refreshToken, attemptId } },
    );
    // One write: the new token is kept and the attempt is over. Only then is the access token used.
    save({ ...state, refreshToken: answer.refreshToken });
    return { ...answer, attemptId };
  } catch (error) {
    if (!/^REFRESH_TOKEN_/.test(error.code)) throw error; // UNAVAILABLE, no network: refresh again later
    save({ deviceToken: state.deviceToken }); // final: show the login page
    return { signedOut: error.reason ?? error.code };
  }
}

async function me() {
  const { accessToken, ...ended } = await refresh(); // access tokens are kept in memory only
  return accessToken ? send("{ me { email role } }", {}, { accessToken: accessToken.token }) : ended;
}

async function logout() {
  const { refreshToken, deviceToken } = load();
  const answer = await send("mutation ($input: LogoutInput) { logout(input: $input) { sessionId } }", { input: { refreshToken } });
  save({ deviceToken }); // not before the answer: otherwise the session would live on without an owner
  return answer;
}

const [command, ...args] = process.argv.slice(2);
console.log(JSON.stringify(await { login, refresh, me, logout }[command](...args)));
