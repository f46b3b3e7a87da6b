// The one kind of error the package throws.

/**
 * Pawl's error codes; `NETWORK_ERROR` for everything that is no answer of Pawl: no connection, a time limit, a
 * redirect, a proxy's error page; and `CLIENT_CLOSED` after `close()`.
 */
export type PawlErrorCode =
  | "NETWORK_ERROR"
  | "UNAVAILABLE"
  | "RATE_LIMITED"
  | "INTERNAL_SERVER_ERROR"
  | "UNAUTHENTICATED"
  | "REFRESH_TOKEN_INVALID"
  | "REFRESH_TOKEN_REUSED"
  | "SESSION_CHANGED"
  | "BAD_USER_INPUT"
  | "BAD_REQUEST"
  | "CROSS_ORIGIN_REQUEST"
  | "CLIENT_CLOSED"
  | (string & {});

export interface PawlErrorDetails {
  reason?: string | undefined;
  /** Seconds. */
  retryAfter?: number | undefined;
  /** The input field that cannot be accepted. */
  field?: string | undefined;
  cause?: unknown;
}

/** A request that came to no result. It says nothing about the session: that is what `state` is for. */
export class PawlError extends Error {
  declare readonly code: PawlErrorCode;
  declare readonly reason: string | undefined;
  declare readonly retryAfter: number | undefined;
  declare readonly field: string | undefined;

  constructor(
    code: PawlErrorCode,
    message?: string,
    details?: PawlErrorDetails,
  ) {
    super(message || code);
    Object.assign(this, details, { name: "PawlError", code });
  }
}

/** Whether the same request may succeed later. */
export const passes = (error: unknown): error is PawlError =>
  error instanceof PawlError && /^(NETWORK|UNAVAIL|RATE_|INTERNAL)/.test(error.code);
