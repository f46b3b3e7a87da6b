// Chooses the page by what is known of the session.

import type { State } from "@pawlauth/client";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Provider } from "urql";
import { Changed } from "./Changed";
import { Devices } from "./Devices";
import { Home } from "./Home";
import { Login } from "./Login";
import { newGraphQL, pawl, useSession } from "./session";
import { Trouble } from "./Trouble";

export function App() {
  const state = useSession();
  switch (state.status) {
    case "unknown":
      return <Start />;
    case "signed-in":
      return <SignedIn key={state.sessionId} />;
    case "signed-out":
      return <SignedOut state={state} />;
    case "session-changed":
      return <Changed />;
  }
}

/** Finds out whether the browser has a session already. */
function Start() {
  const [failure, setFailure] = useState<unknown>();
  const ask = () => {
    setFailure(undefined);
    pawl.getAccessToken().catch(setFailure);
  };
  useEffect(ask, []);
  return (
    <main className="narrow">
      {failure ? (
        <Trouble retry={ask} />
      ) : (
        <p className="quiet center" role="status">
          One moment …
        </p>
      )}
    </main>
  );
}

function SignedOut({ state }: { state: State & { status: "signed-out" } }) {
  // MISSING is how a first visit begins, and no news.
  return <Login ended={state.reason === "MISSING" ? undefined : state.reason} />;
}

const pages = {
  "": { title: "Home", Page: Home },
  "#devices": { title: "Your devices", Page: Devices },
};

function useHash(): string {
  return useSyncExternalStore(
    (changed) => {
      addEventListener("hashchange", changed);
      return () => removeEventListener("hashchange", changed);
    },
    () => location.hash,
  );
}

function SignedIn() {
  const graphql = useMemo(newGraphQL, []);
  const hash = useHash();
  const { title, Page } = pages[hash as keyof typeof pages] ?? pages[""];
  const main = useRef<HTMLElement>(null);
  const shown = useRef(title);
  useEffect(() => {
    document.title = `${title} – Pawl and React`;
    if (shown.current !== title) main.current?.focus();
    shown.current = title;
  }, [title]);
  return (
    <Provider value={graphql}>
      <Header title={title} />
      <main ref={main} tabIndex={-1}>
        <h1>{title}</h1>
        <Page />
      </main>
    </Provider>
  );
}

function Header({ title }: { title: string }) {
  const [failed, setFailed] = useState(false);
  const signOut = () => {
    setFailed(false);
    pawl.logout().catch(() => setFailed(true));
  };
  return (
    <header>
      <div className="bar">
        <img src="/icon.svg" alt="" width="28" height="28" />
        <nav aria-label="Pages">
          {Object.entries(pages).map(([hash, page]) => (
            <a key={hash} href={hash || "#"} aria-current={page.title === title ? "page" : undefined}>
              {page.title}
            </a>
          ))}
        </nav>
        <button type="button" onClick={signOut}>
          Sign out
        </button>
      </div>
      {failed && (
        <p className="notice bad" role="alert">
          You are still signed in: Pawl does not answer. Please try again.
        </p>
      )}
    </header>
  );
}
