// `fetch` with an access token.

import type { PawlClient } from "./api.js";
import { type Operation, readOperation } from "./document.js";
import { ownOrigins } from "./origins.js";
import { readAnswer, refused, repeatable } from "./refused.js";

export interface FetchOptions {
  /** Origins that get the token besides the page's own and Pawl's, as `https://api.example.com`. */
  origins?: string[];
  fetch?: typeof fetch;
}

/** The bodies that are one JSON value. Others, as `application/x-ndjson`, may go on for ever. */
const ONE_VALUE = /^application\/(graphql-response\+)?json *(;|$)/i;

const hasOneValue = ({ headers }: Request | Response): boolean => ONE_VALUE.test(headers.get("content-type") ?? "");

const signed = (request: Request, token: string): Request => {
  request.headers.set("authorization", `Bearer ${token}`);
  return request;
};

/** What a GraphQL request asks for; undefined for others, and for a POST that has not got the document with it. */
async function operationOf(request: Request): Promise<Operation | undefined> {
  try {
    if (request.method === "GET") {
      const { searchParams } = new URL(request.url);
      const query = searchParams.get("query");
      if (query) return readOperation(query, searchParams.get("operationName"));
      // A persisted document. Servers take mutations by POST alone.
      return searchParams.has("extensions") || searchParams.has("documentId") ? { kind: "query" } : undefined;
    }
    if (request.method !== "POST" || !hasOneValue(request)) return undefined;
    const { query, operationName } = JSON.parse(await request.clone().text());
    return typeof query === "string" ? readOperation(query, operationName) : undefined;
  } catch {
    return undefined;
  }
}

/** Reads no more of the two than it must: a body may be a stream that never ends, or long to upload. */
async function asksForRepetition(response: Response, request: Request): Promise<boolean> {
  const { status } = response;
  const readable = hasOneValue(response);
  if (!readable || request.method === "HEAD") return status === 401;
  const operation = await operationOf(request);
  if (status === 401 && (operation ? operation.kind === "query" : request.method === "GET")) return true;
  if (status !== 401 && !operation) return false;
  const answer = readAnswer(await response.clone().text().catch(() => ""));
  return refused(answer, status) && repeatable(answer, operation, status);
}

/**
 * A `fetch` that sends `Authorization: Bearer` to your own origins and to no others. A request that is answered
 * with 401, or with the GraphQL error `UNAUTHENTICATED`, is repeated once with a new token, unless it is a
 * mutation of which something may have been carried out. A request that has an `Authorization` of its own is
 * left alone.
 *
 * Without a session requests go out without a token; while Pawl does not answer they throw a PawlError.
 */
export function createFetch(
  pawl: Pick<PawlClient, "getAccessToken" | "url">,
  { origins = [], fetch = (input, init) => globalThis.fetch(input, init) }: FetchOptions = {},
): typeof globalThis.fetch {
  const isOwn = ownOrigins([pawl.url, ...origins]);

  return async (input, init) => {
    const request = new Request(input, init);
    const ours = isOwn(request.url) && !request.headers.has("authorization");
    const token = ours ? await pawl.getAccessToken() : null;
    if (!token) return fetch(request);

    const spare = request.clone();
    const response = await fetch(signed(request, token));
    if (!(await asksForRepetition(response, spare))) return response;
    const other = await pawl.getAccessToken({ rejected: token });
    return other ? fetch(signed(spare, other)) : response;
  };
}
