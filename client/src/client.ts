// The client: login, refresh, logout, and access tokens for whoever sends requests.

import type { ClientOptions, PawlClient } from "./api.js";
import { createBackoff } from "./backoff.js";
import { createBelief } from "./belief.js";
import { machineClock } from "./clock.js";
import type { LogoutPayload, SignedOutReason, State } from "./contract.js";
import { PawlError } from "./error.js";
import { createLock, type Locks } from "./lock.js";
import { CHANGE_PASSWORD, LOGIN, LOGOUT, REFRESH, send } from "./request.js";
import { memoryStorage, tabStorage } from "./storage.js";
import type { End, Grant } from "./tabs.js";
import { createVault, type Kept } from "./vault.js";

/** The part of an answer that stays inside. */
interface Tokens extends Kept {
  accessToken: { token: string; expiresIn: number };
  rotated?: boolean;
  session: { id: string };
}

/** How many milliseconds a token that a tab sent before it let go of the lock may still be on its way. */
const NEWS_DELAY = 250;

/** A client that nobody signed in with yet. It sends nothing until it is asked to. */
export function createClient(options: ClientOptions): PawlClient {
  const { url, name = "pawl", timeout = 5000, patience = 30_000, clock = machineClock } = options;
  const body = options.delivery === "BODY";
  // Only in a window do all clients of a process belong to one person: a server may have `localStorage` as well.
  const page = globalThis.document?.defaultView === globalThis;
  const {
    fetch = (input, init) => globalThis.fetch(input, init),
    storage = page && !body ? tabStorage() : memoryStorage(),
    locks = page && (navigator.locks as Locks),
    channel = page && globalThis.BroadcastChannel ? new BroadcastChannel(name) : null,
  } = options;

  const belief = createBelief(clock, options.sessionId);
  const vault = createVault(storage, name, body);
  const lock = createLock(locks, name, 2 * timeout);
  const patiently = createBackoff(clock, patience);
  let flight: Promise<State> | undefined;
  let closed = false;

  function ask<T>(query: string, input: object, limit: number, token?: string | null): Promise<T> {
    if (closed) throw new PawlError("CLIENT_CLOSED");
    return send({ url, fetch, credentials: body ? "omit" : "include", clock }, query, input, limit, token);
  }

  function tell(news: Grant | End): void {
    try {
      channel?.postMessage(news);
    } catch {
      // What happened has happened: the other tabs learn it from Pawl.
    }
  }

  function keep({ accessToken, rotated, session }: Tokens, at: number, replaces?: string): void {
    const grant = { ...accessToken, at, sessionId: session.id, rotated, replaces };
    belief.accept(grant);
    tell(grant);
  }

  function end(reason: SignedOutReason, sessionId = belief.sessionId): void {
    belief.leave({ status: "signed-out", reason });
    tell({ sessionId, reason });
  }

  async function refreshOnce(again?: boolean): Promise<State> {
    const attemptId = await vault.attempt();
    const refreshToken = await vault.refreshToken();
    const { sessionId } = belief;
    const at = clock.wall();
    let conclude: () => void;
    try {
      if (body && !refreshToken) throw new PawlError("REFRESH_TOKEN_INVALID", "", { reason: "MISSING" });
      const input = { attemptId, sessionId, refreshToken };
      const tokens = await ask<Tokens>(REFRESH, input, timeout);
      await vault.settle(attemptId, refreshToken, tokens.refreshToken);
      conclude = () => keep(tokens, at);
    } catch (error) {
      const { code, reason, field } = error as PawlError;
      // The attempt stays: it may be that of the session the cookie belongs to.
      if (code === "SESSION_CHANGED") conclude = () => belief.leave({ status: "session-changed" });
      else if (/^REFRESH_TOKEN_/.test(code)) {
        await vault.settle(attemptId, refreshToken);
        conclude = () => end((reason as SignedOutReason) || "REUSED");
      } else {
        if (field !== "attemptId" || again) throw error;
        // It belongs to a refresh that is over. This one is another, and needs an id of its own.
        await vault.settle(attemptId);
        return refreshOnce(true);
      }
    }
    // Not so when somebody signed in or out while the answer was on its way.
    if (belief.sessionId === sessionId) conclude();
    return belief.state;
  }

  function refresh(): Promise<State> {
    const before = belief.state;
    const settled = () => belief.state !== before || before.status === "session-changed";
    return (flight ??= lock(async (waited) => {
      if (waited && !settled()) {
        await new Promise<void>((done) => {
          const stop = belief.subscribe(() => done(stop()));
          clock.after(NEWS_DELAY, done);
        });
      }
      return patiently(async () => (settled() ? belief.state : refreshOnce()));
    }).finally(() => {
      flight = undefined;
    }));
  }

  async function getAccessToken({ rejected }: { rejected?: string | undefined } = {}): Promise<string | null> {
    if (rejected === belief.access?.token) belief.access = undefined;
    // Once more where an answer, or news of another tab, waited until the token was too old.
    for (let tries = 0; ; tries++) {
      const { access, state } = belief;
      if (!closed && access && access.left() > 0) {
        if (access.left() <= access.margin) refresh().catch(() => {});
        return access.token;
      }
      if (state.status === "session-changed") throw new PawlError("SESSION_CHANGED");
      if (state.status === "signed-out" || tries > 1) return null;
      await refresh();
    }
  }

  /** Sends a mutation that may begin a session, and answers without the tokens. */
  const begin = <T extends { __typename: string }>(query: string, input: object, token?: string | null): Promise<T> =>
    lock(async () => {
      const at = clock.wall();
      const { sessionId } = belief;
      const answer = await ask<T & Tokens>(query, input, 4 * timeout, token);
      if (!answer.accessToken) return answer;
      const { accessToken, refreshToken, deviceToken, ...rest } = answer;
      await vault.begin(answer);
      keep(answer, at, token ? sessionId : undefined);
      return rest as unknown as T;
    });

  if (channel) channel.onmessage = belief.hear;

  return {
    url,
    get state() {
      return belief.state;
    },
    subscribe: belief.subscribe,
    refresh,
    getAccessToken,
    async changePassword(input) {
      // With a new token it needs to be sent but once.
      await refresh();
      return begin(CHANGE_PASSWORD, input, await getAccessToken());
    },
    login: async (input) =>
      begin(
        LOGIN,
        body ? { ...input, refreshTokenDelivery: "BODY", deviceToken: await vault.deviceToken() } : input,
      ),
    logout: () =>
      lock(async () => {
        const refreshToken = await vault.refreshToken();
        const answer = await ask<LogoutPayload>(LOGOUT, { refreshToken }, timeout, belief.access?.token);
        end("LOGOUT", answer.sessionId ?? undefined);
        // A token that stays behind has no session any more.
        await vault.settle(undefined, refreshToken).catch(() => {});
        return answer;
      }),
    expiresIn: () => Math.max(0, belief.access?.left() ?? 0),
    reset() {
      flight = undefined;
      belief.leave({ status: "unknown" });
    },
    close() {
      closed = true;
      // What is under way comes to its end, and tells it.
      void lock(async () => channel?.close());
    },
  };
}
