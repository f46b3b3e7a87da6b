// The example's two resources: one for everybody who is signed in, and one for admins.
import { createServer } from "node:http";
import { InvalidToken, NoKeys } from "./verify.mjs";

const REALM = 'Bearer realm="orders"';

/** An HTTP server that serves them to whoever has a token that `verify` finds good. */
export function createApp(verify) {
  const resources = {
    "/orders": (claims) => [200, { user: claims.sub, orders: ["tea", "biscuits"] }],
    "/reports": (claims) =>
      claims.role === "ADMIN"
        ? [200, { user: claims.sub, reports: ["tea is popular"] }]
        : [403, { error: "admins only" }, `${REALM}, error="insufficient_scope", error_description="admins only"`],
  };
  return createServer(async (request, response) => {
    const resource = resources[request.url.split("?")[0]];
    const [status, body, challenge] = !resource
      ? [404, { error: "no such resource" }]
      : request.method !== "GET"
        ? [405, { error: "GET only" }]
        : await authorise(verify, request, resource);
    if (challenge) response.setHeader("WWW-Authenticate", challenge);
    if (status === 503) response.setHeader("Retry-After", "5");
    response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify(body));
  });
}

// A refusal is as RFC 6750, section 3, says: 401 and WWW-Authenticate, on which
// a client refreshes once and repeats.
async function authorise(verify, request, resource) {
  const token = bearer(request.headersDistinct.authorization);
  if (token === undefined) return [401, { error: "an access token is needed" }, REALM];
  try {
    return resource(await verify(token));
  } catch (error) {
    if (error instanceof NoKeys) return [503, { error: error.message }];
    if (!(error instanceof InvalidToken)) throw error;
    const challenge = `${REALM}, error="invalid_token"`;
    return error.expired
      ? [401, { error: "the access token has expired" }, `${challenge}, error_description="expired"`]
      : [401, { error: "the access token is not valid" }, challenge];
  }
}

/** The token in the one Authorization header of a request. */
function bearer(headers) {
  if (headers?.length !== 1) return undefined;
  const [, scheme, token] = /^(\S+) *(.*)$/.exec(headers[0]) ?? [];
  return scheme?.toLowerCase() === "bearer" ? token : undefined;
}
