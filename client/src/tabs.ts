// News between tabs of one origin.

import type { SignedOutReason } from "./contract.js";

/** A new access token of a session. */
export interface Grant {
  sessionId: string;
  token: string;
  /** Seconds, from `at` on. */
  expiresIn: number;
  /** When it was asked for, by the wall clock: an answer, or this news of it, waits for as long as a tab is frozen. */
  at: number;
  /** Whether the refresh token was replaced. */
  rotated?: boolean | undefined;
  /** The session of the same user that this one follows. */
  replaces?: string | undefined;
}

/** The end of a session. */
export interface End {
  sessionId: string | undefined;
  reason: SignedOutReason;
}

/** The part of `BroadcastChannel` that is used. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: any) => void) | null;
  close(): void;
}
