// One GraphQL request to Pawl, and its documents.

import type { Clock } from "./clock.js";
import { PawlError } from "./error.js";

const session = "session{id idleExpiresAt expiresAt}";
const access = "accessToken{token expiresIn}refreshToken ";
const problem = "...on UserError{message}...on TooManyAttemptsError{retryAfter}";

export const LOGIN = `mutation($input:LoginInput!){result:login(input:$input){__typename ...on LoginPayload{${access}deviceToken user{id email role}${session}}${problem}}}`;
export const REFRESH = `mutation($input:RefreshTokenInput){result:refreshToken(input:$input){${access}rotated ${session}}}`;
export const LOGOUT = "mutation($input:LogoutInput){result:logout(input:$input){sessionId}}";
export const CHANGE_PASSWORD = `mutation($input:ChangePasswordInput!){result:changePassword(input:$input){__typename ...on ChangePasswordPayload{${access}deviceToken revokedSessionIds ${session}}...on WeakPasswordError{problems}${problem}}}`;

export interface Target {
  url: string;
  fetch: typeof fetch;
  /** Whether cookies go along. */
  cookies: boolean;
  clock: Clock;
}

/** The root field's value, or a PawlError. `limit` is in milliseconds. */
export async function send<T>(
  { url, fetch, cookies, clock }: Target,
  query: string,
  input: object,
  limit: number,
  token?: string | null,
): Promise<T> {
  const abort = new AbortController();
  const cancel = clock.after(limit, () => abort.abort());
  let response: Response | undefined;
  let body: any;
  let cause: unknown;
  try {
    response = await fetch(url, {
      method: "POST",
      credentials: cookies ? "include" : "omit",
      headers: {
        "content-type": "application/json",
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query, variables: { input } }),
      signal: abort.signal,
    });
    body = await response.json();
  } catch (error) {
    cause = error;
  } finally {
    cancel();
  }
  const error = body?.errors?.[0];
  if (!error && body?.data?.result) return body.data.result;
  const { code, ...details } = error?.extensions ?? {};
  if (code) throw new PawlError(code, error.message, details);
  throw new PawlError("NETWORK_ERROR", response && "HTTP " + response.status, { cause });
}
