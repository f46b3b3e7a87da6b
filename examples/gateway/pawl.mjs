// The way from the gateway to Pawl: which headers go through, in both directions.
import { GraphQLError, print } from "graphql";

/** Headers of the visitor that Pawl decides by. They go through unchanged, or not at all. */
const REQUEST = ["authorization", "cookie", "origin", "sec-fetch-site", "user-agent"];

/**
 * An executor for @graphql-tools/stitch. Of what Pawl answers, Set-Cookie and
 * Retry-After go into `context.forVisitor`, a Headers object.
 */
export function createPawlExecutor(url) {
  return async ({ document, variables, context }) => {
    const { headers: from } = context.request;
    const headers = { "content-type": "application/json", accept: "application/json" };
    for (const name of REQUEST) if (from.has(name)) headers[name] = from.get(name);
    // Pawl reads the list from the right and believes it from PAWL_TRUSTED_PROXIES only.
    headers["x-forwarded-for"] = [from.get("x-forwarded-for"), context.visitorAddress].filter(Boolean).join(", ");
    const body = JSON.stringify({ query: print(document), variables });
    const signal = AbortSignal.timeout(10_000);
    const answer = await fetch(url, { method: "POST", headers, body, signal }).catch(() => undefined);
    const result = await answer?.json().catch(() => undefined);
    if (!result) return { errors: [unavailable()] };
    for (const cookie of answer.headers.getSetCookie()) context.forVisitor.append("set-cookie", cookie);
    const retryAfter = answer.headers.get("retry-after");
    if (retryAfter) context.forVisitor.set("retry-after", retryAfter);
    return result;
  };
}

/** What Pawl says when a store does not answer: repeat the same request later. */
function unavailable() {
  return new GraphQLError("Pawl does not answer", { extensions: { code: "UNAVAILABLE", retryAfter: 2 } });
}
