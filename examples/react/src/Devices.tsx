import { useCallback, useRef, useState } from "react";
import { useMutation, useQuery } from "urql";
import { deviceName } from "./device";
import { pawl, useReturn } from "./session";
import { Trouble } from "./Trouble";

interface Session {
  id: string;
  current: boolean;
  deviceName: string | null;
  userAgent: string | null;
  ipAddress: string | null;
  createdAt: string;
  lastUsedAt: string;
}

const SESSIONS = `
  query Devices {
    mySessions {
      id
      current
      deviceName
      userAgent
      ipAddress
      createdAt
      lastUsedAt
    }
  }
`;

const REVOKE = `
  mutation Revoke($id: ID!) {
    revokeSession(input: { sessionId: $id }) {
      sessionId
    }
  }
`;

const REVOKE_OTHERS = `
  mutation RevokeOthers {
    revokeAllSessions {
      sessionIds
    }
  }
`;

const nameOf = ({ deviceName: chosen, userAgent }: Session): string => chosen ?? deviceName(userAgent ?? "");

/** Where one is signed in, and the way to end that. */
export function Devices() {
  const [{ data, error, fetching }, ask] = useQuery<{ mySessions: Session[] | null }>({
    query: SESSIONS,
    requestPolicy: "cache-and-network",
  });
  const [revoking, revoke] = useMutation(REVOKE);
  const [revokingOthers, revokeOthers] = useMutation(REVOKE_OTHERS);
  const [news, setNews] = useState("");
  const list = useRef<HTMLUListElement>(null);
  const again = useCallback(() => ask({ requestPolicy: "network-only" }), [ask]);
  useReturn(again);

  /** The button is gone afterwards: the list takes the focus, so that the keyboard is not lost. */
  async function end(work: Promise<{ error?: unknown }>, done: string) {
    const { error } = await work;
    setNews(error ? "That did not work. Please try again in a moment." : done);
    if (!error) again();
    list.current?.focus();
  }

  const sessions = data?.mySessions;
  if (!sessions)
    return error && !fetching ? (
      <Trouble retry={again} />
    ) : (
      <p className="quiet" role="status">
        One moment …
      </p>
    );
  const others = sessions.filter((session) => !session.current);
  const busy = revoking.fetching || revokingOthers.fetching;
  return (
    <>
      <p className="lead">These are signed in to your account. Sign out what you do not know.</p>
      <ul ref={list} tabIndex={-1} className="devices" aria-label="Devices">
        {sessions.map((session) => (
          <Device
            key={session.id}
            session={session}
            busy={busy}
            end={() => end(revoke({ id: session.id }), `${nameOf(session)} is signed out.`)}
          />
        ))}
      </ul>
      <p className="news" role="status">
        {news}
      </p>
      {others.length > 1 && (
        <button
          type="button"
          className="danger"
          disabled={busy}
          onClick={() => end(revokeOthers({}), "All other devices are signed out.")}
        >
          Sign out all other devices
        </button>
      )}
    </>
  );
}

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

function ago(time: string): string {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  const [unit, length] = steps.find(([, length]) => seconds >= length) ?? [];
  return unit && length ? relative.format(-Math.floor(seconds / length), unit) : "just now";
}

function Device({ session, busy, end }: { session: Session; busy: boolean; end: () => void }) {
  const name = nameOf(session);
  return (
    <li className="card device">
      <div>
        <h2>
          {name} {session.current && <span className="badge">This device</span>}
        </h2>
        <p className="quiet">
          Last used <time dateTime={session.lastUsedAt}>{ago(session.lastUsedAt)}</time>
          {session.ipAddress && ` from ${session.ipAddress}`}, signed in{" "}
          <time dateTime={session.createdAt}>{moment.format(new Date(session.createdAt))}</time>
        </p>
      </div>
      {session.current ? (
        <button type="button" onClick={() => void pawl.logout().catch(() => {})} disabled={busy}>
          Sign out
        </button>
      ) : (
        <button type="button" className="danger" onClick={end} disabled={busy} aria-label={`Sign out ${name}`}>
          Sign out
        </button>
      )}
    </li>
  );
}
