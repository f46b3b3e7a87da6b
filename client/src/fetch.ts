// `fetch` with an access token.

import type { PawlClient } from "./api.js";
import { refused } from "./refused.js";

export interface FetchOptions {
  /** Origins that get the token besides the page's own and Pawl's, as `https://api.example.com`. */
  origins?: string[];
  fetch?: typeof fetch;
}

const originOf = (url: string): string | undefined => /^https?:\/\/[^/?#]+/i.exec(url)?.[0].toLowerCase();

const signed = (request: Request, token: string): Request => {
  request.headers.set("authorization", `Bearer ${token}`);
  return request;
};

async function isRefused(response: Response, request: Request): Promise<boolean> {
  if (response.status === 401) return true;
  if (!/json/.test(response.headers.get("content-type") ?? "")) return false;
  const text = await response.clone().text();
  if (!text.includes("UNAUTHENTICATED")) return false;
  const mutation = /\bmutation\b/.test(await request.clone().text());
  try {
    return refused(JSON.parse(text), mutation);
  } catch {
    return false;
  }
}

/**
 * A `fetch` that sends `Authorization: Bearer` to your own origins and to no others. A request that is answered
 * with 401, or with the GraphQL error `UNAUTHENTICATED`, is repeated once with a new token. A request that has
 * an `Authorization` of its own is left alone.
 *
 * Without a session requests go out without a token; while Pawl does not answer they throw a PawlError.
 */
export function createFetch(
  pawl: Pick<PawlClient, "getAccessToken" | "url">,
  { origins = [], fetch = (input, init) => globalThis.fetch(input, init) }: FetchOptions = {},
): typeof globalThis.fetch {
  const own = new Set([pawl.url, ...origins, globalThis.location?.origin ?? ""].map(originOf));

  return async (input, init) => {
    const request = new Request(input, init);
    const origin = originOf(request.url);
    const ours = origin && own.has(origin) && !request.headers.has("authorization");
    const token = ours ? await pawl.getAccessToken() : null;
    if (!token) return fetch(request);

    const spare = request.clone();
    const response = await fetch(signed(request, token));
    if (!(await isRefused(response, spare))) return response;
    const other = await pawl.getAccessToken({ rejected: token });
    return other ? fetch(signed(spare, other)) : response;
  };
}
