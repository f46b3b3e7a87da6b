// One GraphQL request to Pawl, and its documents.

import type { Clock } from "./clock.js";
import { PawlError } from "./error.js";

const session = "session{id idleExpiresAt expiresAt}";
const access = "accessToken{token expiresIn}refreshToken ";
const problem = "...on UserError{message}...on TooManyAttemptsError{retryAfter}";

export const LOGIN = `mutation($input:LoginInput!){result:login(input:$input){__typename ...on LoginPayload{${access}deviceToken ${session}user{id email role}}${problem}}}`;
export const REFRESH = `mutation($input:RefreshTokenInput!){result:refreshToken(input:$input){${access}${session}rotated}}`;
export const LOGOUT = "mutation($input:LogoutInput!){result:logout(input:$input){sessionId}}";
export const CHANGE_PASSWORD = `mutation($input:ChangePasswordInput!){result:changePassword(input:$input){__typename ...on ChangePasswordPayload{${access}deviceToken ${session}revokedSessionIds}...on WeakPasswordError{problems}${problem}}}`;

export interface Target {
  url: string;
  fetch: typeof fetch;
  /** Whether cookies go along. */
  credentials: "include" | "omit";
  clock: Clock;
}

/** The root field's value, or a PawlError. `limit` is in milliseconds. */
export async function send<T>(
  { url, fetch, credentials, clock }: Target,
  query: string,
  input: object,
  limit: number,
  token?: string | null,
): Promise<T> {
  const abort = new AbortController();
  const cancel = clock.after(limit, () => abort.abort());
  let response: Response | undefined;
  let failure: any;
  let cause: unknown;
  try {
    response = await fetch(url, {
      method: "POST",
      credentials,
      // Followed, it would take a password or a token to wherever it points.
      redirect: "manual",
      headers: {
        "content-type": "application/json",
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query, variables: { input } }),
      signal: abort.signal,
    });
    const { data, errors } = await response.json();
    if (data?.result) return data.result;
    failure = errors[0];
  } catch (error) {
    cause = error;
  } finally {
    cancel();
  }
  const { message, extensions } = failure ?? {};
  // A browser does not tell the status of a redirect.
  const status = response && "HTTP " + (response.status || "redirect");
  throw new PawlError(extensions?.code || "NETWORK_ERROR", message || status, { cause, ...extensions });
}
