"use strict";

const samples = {
  login: `mutation {
  login(input: { email: "demo@example.com", password: "correct horse battery staple" }) {
    __typename
    ... on LoginPayload { accessToken { token expiresIn } session { id delivery } user { email role } }
    ... on UserError { message }
  }
}`,
  me: "{ me { id email role createdAt } }",
  refresh: "mutation { refreshToken { rotated accessToken { token expiresIn } session { id lastUsedAt } } }",
  sessions: "{ mySessions { id current createdAt lastUsedAt expiresAt deviceName userAgent ipAddress } }",
  logout: "mutation { logout { sessionId } }",
};

const at = (id) => document.getElementById(id);
let token = ""; // in memory only: closing the page forgets it

// The access token of an answer, wherever the query put it.
function findToken(value) {
  if (value === null || typeof value !== "object") return "";
  if (value.accessToken && typeof value.accessToken.token === "string") return value.accessToken.token;
  for (const child of Object.values(value)) {
    const found = findToken(child);
    if (found) return found;
  }
  return "";
}

async function run() {
  const body = { query: at("query").value };
  try {
    if (at("variables").value.trim()) body.variables = JSON.parse(at("variables").value);
    const headers = { "Content-Type": "application/json" };
    if (token) headers.Authorization = "Bearer " + token;
    const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await response.json();
    token = findToken(answer.data) || token;
    at("answer").textContent = "HTTP " + response.status + "\n" + JSON.stringify(answer, null, 2);
    at("token").textContent = token ? "An access token goes along." : "No access token yet.";
  } catch (problem) {
    at("answer").textContent = String(problem);
  }
}

at("run").addEventListener("click", run);
at("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
});
at("samples").addEventListener("click", (event) => {
  const text = samples[event.target.dataset.sample];
  if (text) at("query").value = text;
});
at("query").value = samples.login;
