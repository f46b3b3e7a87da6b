// Who is signed in, for how long the access token lasts, how often the refresh token was replaced.

import { useEffect, useState, useSyncExternalStore } from "react";
import type { SignedOutReason } from "@pawlauth/client";
import mark from "./pawl.svg";
import { ask, pawl } from "./session.js";

interface Person {
  email: string;
  role: string;
}

const gone: Record<SignedOutReason, string> = {
  MISSING: "Not signed in",
  LOGOUT: "Logged out",
  REVOKED: "Session revoked",
  EXPIRED: "Session expired",
  UNKNOWN: "Session unknown",
  MALFORMED: "Cookie damaged",
  BINDING: "Session ended: another network",
  REUSED: "Session ended: its refresh token was used twice",
};

/** Who the session `id` belongs to. */
function usePerson(id: string | undefined): Person | undefined {
  const [known, setKnown] = useState<{ id: string; person: Person }>();
  useEffect(() => {
    if (!id) return;
    let current = true;
    void ask({ query: "{ me { email role } }" }).then(({ data }) => {
      if (current && data?.["me"]) setKnown({ id, person: data["me"] });
    });
    return () => {
      current = false;
    };
  }, [id]);
  return known && known.id === id ? known.person : undefined;
}

/** Seconds left, and the share of the token's life that they are. Refreshes ahead of expiry while the page is seen. */
function useCountdown(signedIn: boolean, state: unknown): { left: number; share: number } {
  const [left, setLeft] = useState(0);
  const [life, setLife] = useState(1);
  useEffect(() => {
    setLife(Math.max(1, pawl.expiresIn()));
  }, [state]);
  useEffect(() => {
    if (!signedIn) return;
    const tick = () => {
      setLeft(pawl.expiresIn());
      if (document.visibilityState === "visible") pawl.getAccessToken().catch(() => {});
    };
    tick();
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, [signedIn, state]);
  return { left, share: Math.min(1, left / life) };
}

const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export function Bar() {
  const state = useSyncExternalStore(pawl.subscribe, () => pawl.state);
  const signedIn = state.status === "signed-in";
  const person = usePerson(state.sessionId);
  const { left, share } = useCountdown(signedIn, state);

  return (
    <header className="bar">
      <h1>
        <img src={mark} alt="" width="24" height="24" /> Pawl <span>explorer</span>
      </h1>
      <p className="who" role="status" data-status={state.status}>
        {signedIn && (
          <>
            <b>{person?.email ?? "Signed in"}</b>
            {person && person.role !== "USER" && <small>{person.role.toLowerCase()}</small>}
          </>
        )}
        {state.status === "signed-out" && gone[state.reason]}
        {state.status === "unknown" && "…"}
        {state.status === "session-changed" && (
          <>
            Another tab signed in anew.{" "}
            <button type="button" onClick={() => (pawl.reset(), pawl.refresh().catch(() => {}))}>
              Use that session
            </button>
          </>
        )}
      </p>
      {signedIn && (
        <dl>
          <div>
            <dt>access token</dt>
            <dd role="timer" aria-label="seconds until the access token is renewed" data-left={Math.round(left)}>
              {clock(left)}
            </dd>
          </div>
          <div>
            <dt>rotations</dt>
            <dd data-rotations={state.rotations}>{state.rotations}</dd>
          </div>
        </dl>
      )}
      <progress className="life" max={1} value={signedIn ? share : 0} aria-hidden="true" />
    </header>
  );
}
