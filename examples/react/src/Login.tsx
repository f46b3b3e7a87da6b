import type { SignedOutReason } from "@pawlauth/client";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { deviceName } from "./device";
import { pawl } from "./session";

const demo = { email: "demo@example.com", password: "correct horse battery staple" };

interface Notice {
  title: string;
  text: string;
  bad?: boolean;
}

const notices: Partial<Record<SignedOutReason, Notice>> = {
  LOGOUT: { title: "You have signed out", text: "In all tabs of this browser." },
  REUSED: {
    title: "We ended your session",
    text: "A copy of your sign-in was used somewhere else. Sign in again, and change your password if that was not you.",
    bad: true,
  },
  REVOKED: { title: "Your session has ended", text: "It was ended from another place." },
  EXPIRED: { title: "Your session has ended", text: "You were away for a long time." },
};

const otherNotice: Notice = { title: "Your session has ended", text: "Please sign in again." };

/** Tells that a session is over, and why. */
function Ended({ reason }: { reason: SignedOutReason }) {
  const { title, text, bad } = notices[reason] ?? otherNotice;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <div className={bad ? "notice bad" : "notice"} role="alert">
      <h2 ref={heading} tabIndex={-1}>
        {title}
      </h2>
      <p>{text}</p>
    </div>
  );
}

export function Login({ ended }: { ended: SignedOutReason | undefined }) {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const email = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in – Pawl and React";
    if (!ended) email.current?.focus();
  }, [ended]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      const input = { email: email.current!.value, password: password.current!.value, deviceName: deviceName() };
      const result = await pawl.login(input);
      if (result.__typename === "LoginPayload") return; // this page goes
      setProblem(result.message);
      password.current!.select();
    } catch {
      setProblem("Signing in does not work right now. Please try again in a moment.");
    }
    setBusy(false);
  }

  function useDemo() {
    email.current!.value = demo.email;
    password.current!.value = demo.password;
    form.current!.requestSubmit();
  }

  return (
    <main className="narrow">
      {ended && <Ended reason={ended} />}
      <section className="card">
        <img src="/icon.svg" alt="" width="44" height="44" />
        <h1>Sign in</h1>
        <form ref={form} onSubmit={submit}>
          <label htmlFor="email">Email</label>
          <input ref={email} id="email" type="email" autoComplete="username" autoCapitalize="none" required />
          <label htmlFor="password">Password</label>
          <input
            ref={password}
            id="password"
            type="password"
            autoComplete="current-password"
            required
            aria-describedby="problem"
          />
          <p id="problem" className="problem" role="alert">
            {problem}
          </p>
          <button type="submit" className="primary" disabled={busy}>
            {busy ? "Signing in …" : "Sign in"}
          </button>
        </form>
        <p className="quiet">
          With <code>pawl dev</code> there is a demo account.{" "}
          <button type="button" className="link" onClick={useDemo} disabled={busy}>
            Sign in with it
          </button>
        </p>
      </section>
    </main>
  );
}
