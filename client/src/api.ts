// The surface of the core: how a client is made, and what it can be asked for.

import type { Clock } from "./clock.js";
import type {
  ChangePasswordInput,
  ChangePasswordResult,
  Delivery,
  Listener,
  LoginInput,
  LoginResult,
  LogoutPayload,
  State,
} from "./contract.js";
import type { Locks } from "./lock.js";
import type { Storage } from "./storage.js";
import type { Channel } from "./tabs.js";

export interface ClientOptions {
  /** Pawl's `/graphql`. */
  url: string;
  /** `COOKIE` (the default) for browsers, `BODY` for apps and programs. */
  delivery?: Delivery;
  /**
   * For `BODY`: a safe place for the refresh token (a keychain, say). Without one the session ends with the
   * process. A `COOKIE` client keeps nothing but the id of a pending refresh, in `localStorage`.
   */
  storage?: Storage;
  /** Clients of one name share a session: lock, channel and stored keys are called so. `pawl` by default. */
  name?: string;
  /** The session that the page shows already, if a server rendered it. */
  sessionId?: string;
  /** Milliseconds until a try to refresh is given up and repeated; at most half of the server's reuse grace. 5000. */
  timeout?: number;
  /** Milliseconds that a caller waits for a refresh during an outage, before it gets the error. 30000. */
  patience?: number;
  fetch?: typeof fetch;
  clock?: Clock;
  /** `navigator.locks`, or `null` for none. */
  locks?: Locks | null;
  /** A `BroadcastChannel` between the tabs of one browser, or `null` for none. */
  channel?: Channel | null;
}

export interface PawlClient {
  readonly url: string;
  /** What this tab knows. Replaced at each change, so it fits `useSyncExternalStore`. */
  readonly state: State;
  /** Calls `listener` after each change of `state`; the answer ends that. */
  subscribe(listener: Listener): () => void;
  /** Signs in. Throws a PawlError where there was no result; a person may try again then. */
  login(input: LoginInput): Promise<LoginResult>;
  /** Replaces the password; this client goes on in the new session. */
  changePassword(input: ChangePasswordInput): Promise<ChangePasswordResult>;
  /**
   * Refreshes now and tells how it ended; callers at the same time share one refresh. Throws a PawlError when
   * there was no answer within `patience`; the session is as it was then.
   */
  refresh(): Promise<State>;
  /** Ends the session, in all tabs. When it throws a PawlError nothing has changed: let the person try again. */
  logout(): Promise<LogoutPayload>;
  /**
   * A token for `Authorization: Bearer`, refreshed when needed; null when nobody is signed in. Pass a token
   * that was answered with `UNAUTHENTICATED` as `rejected` to get another one. Throws a PawlError when there
   * was no answer, and `SESSION_CHANGED` while the state is `session-changed`.
   */
  getAccessToken(options?: { rejected?: string | undefined }): Promise<string | null>;
  /** Seconds until the access token expires; 0 without one. */
  expiresIn(): number;
  /** Forgets what this tab believes, here only: the next refresh starts over from the cookie's or storage's session. */
  reset(): void;
  /**
   * Lets go of the other tabs. What is under way comes to its end; whatever is asked for from now on sends nothing
   * and throws `CLIENT_CLOSED`.
   */
  close(): void;
}
