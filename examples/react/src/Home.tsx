import { useCallback, useEffect, useState } from "react";
import { useQuery } from "urql";
import { pawl, useReturn, useSession } from "./session";
import { Trouble } from "./Trouble";

interface Me {
  me: { email: string; role: string; createdAt: string } | null;
}

const ME = `
  query Me {
    me {
      email
      role
      createdAt
    }
  }
`;

const day = new Intl.DateTimeFormat("en", { dateStyle: "long" });

/** A page for people who are signed in. */
export function Home() {
  const [{ data, error, fetching }, ask] = useQuery<Me>({ query: ME });
  const again = useCallback(() => ask({ requestPolicy: "network-only" }), [ask]);
  useReturn(again);
  if (!data?.me)
    return error && !fetching ? (
      <Trouble retry={again} />
    ) : (
      <p className="quiet" role="status">
        One moment …
      </p>
    );
  return (
    <>
      <section className="card">
        <h2>Your account</h2>
        <dl>
          <dt>Email</dt>
          <dd>{data.me.email}</dd>
          <dt>Role</dt>
          <dd>{data.me.role === "ADMIN" ? "Admin" : "User"}</dd>
          <dt>Account since</dt>
          <dd>{day.format(new Date(data.me.createdAt))}</dd>
        </dl>
      </section>
      <Behind />
    </>
  );
}

function useSeconds(): number {
  const [seconds, setSeconds] = useState(pawl.expiresIn);
  useEffect(() => {
    const timer = setInterval(() => setSeconds(pawl.expiresIn()), 1000);
    return () => clearInterval(timer);
  }, []);
  return Math.round(seconds);
}

const minutes = (seconds: number) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

const times = ["not replaced yet", "replaced once", "replaced twice"];

/** What the client package does while nobody looks. */
function Behind() {
  const state = useSession();
  const seconds = useSeconds();
  const refresh = () => void pawl.refresh().catch(() => {});
  if (state.status !== "signed-in") return null;
  return (
    <section className="card">
      <h2>Behind the scenes</h2>
      <dl>
        <dt>Access token</dt>
        <dd>{seconds ? `${minutes(seconds)} left` : "expired; the next request gets a new one"}</dd>
        <dt>Refresh token</dt>
        <dd>{times[state.rotations] ?? `replaced ${state.rotations} times`}</dd>
      </dl>
      <button type="button" onClick={refresh}>
        Refresh now
      </button>
    </section>
  );
}
