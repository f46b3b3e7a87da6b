// What this tab holds to be true: its state, its access token, who wants to hear of changes. Sends nothing.

import type { Clock } from "./clock.js";
import type { Listener, SignedOutReason, State } from "./contract.js";
import type { End, Grant } from "./tabs.js";

/** A token in memory, with the moments (of the monotonic clock) to replace it and to stop using it. */
export interface Access {
  token: string;
  renewAt: number;
  expiresAt: number;
}

export interface Belief {
  state: State;
  /** The session this tab believes it is in. */
  sessionId: string | undefined;
  access: Access | undefined;
  subscribe(listener: Listener): () => void;
  /** Takes a token whose lifetime begins now. */
  accept(grant: Grant): void;
  /** Takes what another tab tells. */
  hear(news: Grant | End): void;
  end(reason: SignedOutReason): void;
  change(): void;
  reset(): void;
}

export function createBelief(clock: Clock, sessionId: string | undefined): Belief {
  let ended: string | undefined;
  let rotations = 0;
  const listeners = new Set<Listener>();

  function become(next: State): void {
    const previous = belief.state;
    belief.state = next;
    // Later, so that a listener that throws harms nobody.
    for (const listener of listeners) queueMicrotask(() => listener(next, previous));
  }

  function leave(next: State): void {
    ended = belief.sessionId || ended;
    belief.sessionId = belief.access = undefined;
    become(next);
  }

  const belief: Belief = {
    state: { status: "unknown" },
    sessionId,
    access: undefined,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    accept({ sessionId, token, expiresIn, rotated }) {
      const life = expiresIn * 1000;
      const expiresAt = clock.now() + life;
      belief.access = { token, expiresAt, renewAt: expiresAt - Math.min(60_000, life / 5) };
      if (sessionId !== belief.sessionId) rotations = 0;
      if (rotated) rotations++;
      if (sessionId === ended) ended = undefined;
      belief.sessionId = sessionId;
      become({ status: "signed-in", sessionId, rotations });
    },
    hear(news) {
      const { sessionId, state } = belief;
      const same = sessionId === news.sessionId;
      if ("reason" in news) {
        if (sessionId && same) belief.end(news.reason);
      } else if (news.sessionId !== ended && state.status !== "session-changed") {
        // Not so late that this tab has left the session already.
        if (!sessionId || same || sessionId === news.replaces) belief.accept(news);
        else belief.change();
      }
    },
    end: (reason) => leave({ status: "signed-out", reason }),
    change: () => leave({ status: "session-changed" }),
    reset: () => leave({ status: "unknown" }),
  };
  return belief;
}
