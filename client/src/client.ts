// The client: login, refresh, logout, and access tokens for whoever sends requests.

import type { ClientOptions, PawlClient } from "./api.js";
import { createBackoff } from "./backoff.js";
import { createBelief } from "./belief.js";
import { machineClock } from "./clock.js";
import type { ChangePasswordResult, LogoutPayload, SignedOutReason, State } from "./contract.js";
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
  // Only in a browser do all clients of a process belong to one person.
  const page = typeof location === "object";
  const {
    fetch = (input, init) => globalThis.fetch(input, init),
    storage = body ? memoryStorage() : tabStorage(),
    locks = page ? (navigator.locks as Locks | undefined) : null,
    channel = page && globalThis.BroadcastChannel ? new BroadcastChannel(name) : null,
  } = options;

  const belief = createBelief(clock, options.sessionId);
  const vault = createVault(storage, name, body);
  const lock = createLock(locks, name, 2 * timeout);
  const patiently = createBackoff(clock, patience);
  const target = { url, fetch, cookies: !body, clock };
  let flight: Promise<State> | undefined;

  const tell = (news: Grant | End): void => channel?.postMessage(news);

  function keep({ accessToken, rotated, session }: Tokens, sentAt: number, replaces?: string): void {
    const expiresIn = accessToken.expiresIn - (clock.now() - sentAt) / 1000;
    const grant = { sessionId: session.id, token: accessToken.token, expiresIn, rotated, replaces };
    belief.accept(grant);
    tell(grant);
  }

  function end(reason: SignedOutReason, sessionId = belief.sessionId): void {
    belief.end(reason);
    tell({ sessionId, reason });
  }

  async function refreshOnce(): Promise<State> {
    const attemptId = await vault.attempt();
    const refreshToken = await vault.refreshToken();
    const { sessionId } = belief;
    // Not so when somebody signed in or out while the answer was on its way.
    const concerns = () => belief.sessionId === sessionId;
    const sentAt = clock.now();
    try {
      if (body && !refreshToken) throw new PawlError("REFRESH_TOKEN_INVALID", "", { reason: "MISSING" });
      const input = { attemptId, sessionId, refreshToken };
      const tokens = await send<Tokens>(target, REFRESH, input, timeout);
      await vault.settle(attemptId, refreshToken, tokens.refreshToken);
      if (concerns()) keep(tokens, sentAt);
    } catch (error) {
      const { code, reason } = error as PawlError;
      // The attempt stays: it may be that of the session the cookie belongs to.
      if (code === "SESSION_CHANGED") concerns() && belief.change();
      else if (/^REFRESH_TOKEN_/.test(code)) {
        await vault.settle(attemptId, refreshToken);
        if (concerns()) end((reason as SignedOutReason) || "REUSED");
      } else throw error;
    }
    return belief.state;
  }

  /** Resolves at the next change, or when none comes soon. */
  const change = (): Promise<void> =>
    new Promise((done) => {
      const stop = belief.subscribe(() => done(stop()));
      clock.after(NEWS_DELAY, done);
    });

  function refresh(): Promise<State> {
    const before = belief.state;
    const settled = () => belief.state !== before || before.status === "session-changed";
    return (flight ??= lock(async (waited) => {
      if (waited && !settled()) await change();
      return patiently(async () => (settled() ? belief.state : refreshOnce()));
    }).finally(() => {
      flight = undefined;
    }));
  }

  async function getAccessToken({ rejected }: { rejected?: string | undefined } = {}): Promise<string | null> {
    const now = clock.now();
    if (rejected && rejected === belief.access?.token) belief.access = undefined;
    const { access } = belief;
    if (access && now < access.expiresAt) {
      if (now >= access.renewAt) refresh().catch(() => {});
      return access.token;
    }
    if (belief.state.status === "signed-out") return null;
    const { status } = await refresh();
    if (status === "session-changed") throw new PawlError("SESSION_CHANGED");
    return belief.access?.token ?? null;
  }

  /** Sends a mutation that may begin a session, and answers without the tokens. */
  const begin = <T extends { __typename: string }>(query: string, input: object, token?: string | null): Promise<T> =>
    lock(async () => {
      const sentAt = clock.now();
      const { sessionId } = belief;
      const answer = await send<T & Tokens>(target, query, input, 4 * timeout, token);
      if (!answer.accessToken) return answer;
      const { accessToken, refreshToken, deviceToken, ...rest } = answer;
      await vault.begin(answer);
      keep(answer, sentAt, token ? sessionId : undefined);
      return rest as unknown as T;
    });

  async function changePassword(input: object, rejected?: string): Promise<ChangePasswordResult> {
    const token = await getAccessToken({ rejected });
    return begin<ChangePasswordResult>(CHANGE_PASSWORD, input, token).catch((error) => {
      if (!token || rejected || error.code !== "UNAUTHENTICATED") throw error;
      return changePassword(input, token);
    });
  }

  if (channel) channel.onmessage = ({ data }: { data: Grant | End }) => belief.hear(data);

  return {
    url,
    get state() {
      return belief.state;
    },
    subscribe: belief.subscribe,
    refresh,
    getAccessToken,
    changePassword,
    login: async (input) =>
      begin(
        LOGIN,
        body ? { ...input, refreshTokenDelivery: "BODY", deviceToken: await vault.deviceToken() } : input,
      ),
    logout: () =>
      lock(async () => {
        const refreshToken = await vault.refreshToken();
        const answer = await send<LogoutPayload>(target, LOGOUT, { refreshToken }, timeout, belief.access?.token);
        await vault.settle(undefined, refreshToken);
        end("LOGOUT", answer.sessionId ?? undefined);
        return answer;
      }),
    expiresIn: () => Math.max(0, ((belief.access?.expiresAt ?? 0) - clock.now()) / 1000),
    reset() {
      flight = undefined;
      belief.reset();
    },
    close: () => channel?.close(),
  };
}
