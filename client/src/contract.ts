// What the package speaks with an application: the parts of Pawl's schema that
// it uses, and the words for what a tab knows about its session.

/** One login on one client; times are RFC 3339 in UTC. */
export interface Session {
  id: string;
  /** When it ends unless it is refreshed before. */
  idleExpiresAt: string;
  /** When it ends at the latest. */
  expiresAt: string;
}

export interface User {
  id: string;
  email: string;
  role: "USER" | "ADMIN";
}

export interface LoginInput {
  email: string;
  password: string;
  /** How the user recognises this client in the list of sessions; at most 64 characters. */
  deviceName?: string;
}

export interface ChangePasswordInput {
  currentPassword: string;
  newPassword: string;
}

/** A session began. Its tokens stay inside the client: ask `getAccessToken()`. */
export interface LoginPayload {
  __typename: "LoginPayload";
  session: Session;
  user: User;
}

/** Unknown address, wrong password or disabled account: one answer for all. `message` is for the person. */
export interface InvalidCredentialsError {
  __typename: "InvalidCredentialsError";
  message: string;
}

/** Passwords are not looked at for `retryAfter` seconds. `message` is for the person. */
export interface TooManyAttemptsError {
  __typename: "TooManyAttemptsError";
  message: string;
  retryAfter: number;
}

export type PasswordProblem = "TOO_SHORT" | "TOO_LONG" | "COMPROMISED" | "CONTEXTUAL" | "UNCHANGED";

/** The new password cannot be used; nothing has changed. `message` is for the person. */
export interface WeakPasswordError {
  __typename: "WeakPasswordError";
  message: string;
  problems: PasswordProblem[];
}

/** All sessions of the user ended and a new one began for this client, which uses it already. */
export interface ChangePasswordPayload {
  __typename: "ChangePasswordPayload";
  session: Session;
  revokedSessionIds: string[];
}

export type LoginResult = LoginPayload | InvalidCredentialsError | TooManyAttemptsError;

export type ChangePasswordResult =
  | ChangePasswordPayload
  | InvalidCredentialsError
  | WeakPasswordError
  | TooManyAttemptsError;

/** What a logout ended; null when nothing was left to end. */
export interface LogoutPayload {
  sessionId: string | null;
}

/**
 * Why nobody is signed in. `LOGOUT`: signed out here or in another tab. `MISSING`: there was no
 * session to begin with. `REUSED`: a refresh token came back after its time, so a copy of it is
 * somewhere. The others are reasons of `REFRESH_TOKEN_INVALID`.
 */
export type SignedOutReason =
  | "LOGOUT"
  | "MISSING"
  | "REUSED"
  | "EXPIRED"
  | "REVOKED"
  | "UNKNOWN"
  | "BINDING"
  | "MALFORMED";

/**
 * What this tab knows. The object is replaced, never changed.
 *
 * - `unknown`: Pawl was not asked yet.
 * - `signed-in`: `rotations` counts how often this tab saw the session's refresh token replaced.
 * - `signed-out`: final until somebody signs in.
 * - `session-changed`: another tab signed in anew, maybe as somebody else. Nothing is sent any more until
 *   `reset()`: drop what the page shows, or load it anew.
 */
export type State =
  | { readonly status: "unknown"; readonly sessionId?: undefined }
  | { readonly status: "signed-in"; readonly sessionId: string; readonly rotations: number }
  | { readonly status: "signed-out"; readonly sessionId?: undefined; readonly reason: SignedOutReason }
  | { readonly status: "session-changed"; readonly sessionId?: undefined };

/** Called after each change, refreshes included. Compare the two: a new `sessionId` is a new sign-in. */
export type Listener = (state: State, previous: State) => void;

/** Whose hands the refresh token is in: the browser's cookie jar, or the client's storage. */
export type Delivery = "COOKIE" | "BODY";
