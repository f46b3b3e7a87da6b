// What this tab holds to be true: its state, its access token, who wants to hear of changes. Sends nothing.

import type { Clock } from "./clock.js";
import type { Listener, State } from "./contract.js";
import type { End, Grant } from "./tabs.js";

/** A token in memory. */
export interface Access {
  token: string;
  /** How many seconds before its end it is replaced. */
  margin: number;
  /** Seconds that it has left. */
  left(): number;
}

export interface Belief {
  state: State;
  /** The session this tab believes it is in. */
  sessionId: string | undefined;
  access?: Access | undefined;
  subscribe(listener: Listener): () => void;
  accept(grant: Grant): void;
  /** Takes what another tab tells. */
  hear(event: { data: Grant | End }): void;
  /** This tab is in no session any more, as far as it knows. */
  leave(next: State): void;
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

  const belief: Belief = {
    state: { status: "unknown" },
    sessionId,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    accept({ sessionId, token, expiresIn, at, rotated }) {
      const now = clock.now();
      // The clock may stand still while a laptop sleeps or a tab is frozen, and the wall clock may be set back.
      belief.access = {
        token,
        margin: Math.min(60, expiresIn / 5),
        left: () => expiresIn - Math.max(clock.now() - now, clock.wall() - at) / 1000,
      };
      if (sessionId !== belief.sessionId) rotations = 0;
      if (rotated) rotations++;
      if (sessionId === ended) ended = undefined;
      belief.sessionId = sessionId;
      become({ status: "signed-in", sessionId, rotations });
    },
    hear({ data: news }) {
      const { sessionId } = belief;
      const same = sessionId === news.sessionId;
      if ("reason" in news) {
        if (sessionId && same) belief.leave({ status: "signed-out", reason: news.reason });
      } else if (news.sessionId !== ended && belief.state.status !== "session-changed") {
        // Not so late that this tab has left the session already.
        if (!sessionId || same || sessionId === news.replaces) belief.accept(news);
        else belief.leave({ status: "session-changed" });
      }
    },
    leave(next) {
      ended = belief.sessionId || ended;
      belief.sessionId = belief.access = undefined;
      become(next);
    },
  };
  return belief;
}
