// A small Pawl: one user, sessions that turn as the real ones do, no cryptography.

import type { Clock } from "../src/index.js";

interface FakeSession {
  id: string;
  delivery: "COOKIE" | "BODY";
  generation: number;
  turnedAt: number;
  attempt?: string;
  over?: boolean;
}

export interface Logged {
  field: string;
  input: any;
  token: string | undefined;
  credentials: string | undefined;
}

const GRACE = 10_000;

const failure = (code: string, extensions: object = {}) => ({
  data: { result: null },
  errors: [{ message: code, extensions: { code, ...extensions } }],
});

type Fault = "lose" | "hang" | "refuse" | { status?: number; type?: string; body: unknown };

export class FakeServer {
  readonly sessions = new Map<string, FakeSession>();
  readonly log: Logged[] = [];
  /** What befalls the next requests, one each. `lose` carries them out and drops the answer. */
  readonly faults: Fault[] = [];
  /** Runs when a request arrives, before it is carried out. */
  onRequest: (request: Logged) => void = () => {};
  latency = 20;
  lifetime = 900;
  /** How a refused access token is answered: as Pawl does, or with a status. */
  status = 200;
  type = "application/json";
  #tokens = new Map<string, { session: string; until: number }>();
  #count = 0;

  constructor(readonly clock: Clock) {}

  count(field: string): number {
    return this.log.filter((request) => request.field === field).length;
  }

  end(id: string): void {
    this.sessions.get(id)!.over = true;
  }

  /** Makes every access token fail as expired, whatever the clients believe. */
  expire(): void {
    for (const token of this.#tokens.values()) token.until = 0;
  }

  fetch(jar: { cookie?: string }): typeof fetch {
    return async (input, init) => {
      const request = new Request(input, init);
      const { query, variables } = (await request.json()) as { query: string; variables?: any };
      const logged: Logged = {
        field: /result:(\w+)/.exec(query)?.[1] ?? "me",
        input: variables?.input,
        token: request.headers.get("authorization")?.replace(/^Bearer /, ""),
        credentials: init?.credentials,
      };
      this.log.push(logged);
      this.onRequest(logged);
      const sent = jar.cookie;
      const fault = this.faults.shift();
      if (fault === "refuse") throw new TypeError("connection refused");
      if (fault === "hang") {
        await new Promise((_, fail) => init!.signal!.addEventListener("abort", () => fail(new Error("aborted"))));
      }
      if (typeof fault === "object") {
        await this.#pass();
        return reply(fault.body, fault.status, fault.type);
      }
      await this.#pass();
      let cookie: string | undefined;
      const answer: any = this.#execute(logged, sent, (value) => (cookie = value));
      await this.#pass();
      if (fault === "lose") throw new TypeError("connection reset");
      if (cookie !== undefined) jar.cookie = cookie;
      const refused = answer.errors?.[0].extensions.code === "UNAUTHENTICATED";
      return reply(answer, refused ? this.status : 200, this.type);
    };
  }

  #pass(): Promise<void> {
    return new Promise((done) => void this.clock.after(this.latency / 2, done));
  }

  #execute({ field, input, token }: Logged, cookie: string | undefined, set: (cookie: string) => void): object {
    switch (field) {
      case "login":
        return this.#login(input, cookie, set);
      case "refreshToken":
        return this.#refresh(input, cookie, set);
      case "logout": {
        const session = this.#find(input.refreshToken ?? cookie) ?? this.sessions.get(this.#tokens.get(token!)?.session!);
        if (cookie) set("");
        const sessionId = session && !session.over ? session.id : null;
        if (session) session.over = true;
        return { data: { result: { sessionId } } };
      }
      case "changePassword": {
        const refusal = this.#refusal(token);
        if (refusal) return refusal;
        if (input.newPassword.length < 15) {
          return { data: { result: { __typename: "WeakPasswordError", message: "too short", problems: ["TOO_SHORT"] } } };
        }
        const old = this.sessions.get(this.#tokens.get(token!)!.session)!;
        for (const session of this.sessions.values()) session.over = true;
        const answer = this.#begin(old.delivery, set);
        return { data: { result: { __typename: "ChangePasswordPayload", ...answer, revokedSessionIds: [old.id] } } };
      }
      default:
        return this.#refusal(token) ?? { data: { me: { id: "u1" } } };
    }
  }

  #refusal(token: string | undefined): object | undefined {
    const known = this.#tokens.get(token ?? "");
    const reason = !token
      ? "TOKEN_MISSING"
      : !known
        ? "TOKEN_INVALID"
        : known.until <= this.clock.now()
          ? "TOKEN_EXPIRED"
          : this.sessions.get(known.session)!.over && "SESSION_REVOKED";
    if (!reason) return undefined;
    return { data: { me: null }, errors: [{ message: reason, extensions: { code: "UNAUTHENTICATED", reason } }] };
  }

  #login(input: any, cookie: string | undefined, set: (cookie: string) => void): object {
    if (input.password === "often") {
      return { data: { result: { __typename: "TooManyAttemptsError", message: "wait", retryAfter: 30 } } };
    }
    if (input.password !== "correct") {
      return { data: { result: { __typename: "InvalidCredentialsError", message: "no" } } };
    }
    const replaced = this.#find(cookie);
    if (replaced) replaced.over = true;
    const user = { id: "u1", email: input.email, role: "USER" };
    return { data: { result: { __typename: "LoginPayload", ...this.#begin(input.refreshTokenDelivery, set), user } } };
  }

  #begin(delivery: "COOKIE" | "BODY" = "COOKIE", set: (cookie: string) => void): object {
    const id = `s${this.sessions.size + 1}`;
    const session: FakeSession = { id, delivery, generation: 1, turnedAt: -Infinity };
    this.sessions.set(id, session);
    return { ...this.#answer(session, set), deviceToken: delivery === "BODY" ? "device" : null };
  }

  #find(refreshToken: string | undefined): FakeSession | undefined {
    return this.sessions.get(refreshToken?.split(".")[0] ?? "");
  }

  #refresh(input: any, cookie: string | undefined, set: (cookie: string) => void): object {
    const sent = input.refreshToken ?? cookie;
    if (!sent) return failure("REFRESH_TOKEN_INVALID", { reason: "MISSING" });
    const session = this.#find(sent);
    if (!session) return failure("REFRESH_TOKEN_INVALID", { reason: "MALFORMED" });
    if (input.sessionId && input.sessionId !== session.id) return failure("SESSION_CHANGED");
    if (session.over) return failure("REFRESH_TOKEN_INVALID", { reason: "REVOKED" });
    if (!/^[\w.~-]{22,64}$/.test(input.attemptId)) return failure("BAD_USER_INPUT", { field: "attemptId" });
    const generation = Number(sent.split(".")[1]);
    const young = this.clock.now() - session.turnedAt <= GRACE;
    let rotated = false;
    if (generation === session.generation) {
      // The rotation that it belongs to is settled: its successor has come back.
      if (!young && input.attemptId === session.attempt) return failure("BAD_USER_INPUT", { field: "attemptId" });
      if (!young) {
        session.generation++;
        session.turnedAt = this.clock.now();
        session.attempt = input.attemptId;
        rotated = true;
      }
    } else if (generation !== session.generation - 1 || (input.attemptId !== session.attempt && !young)) {
      session.over = true;
      return failure("REFRESH_TOKEN_REUSED");
    } else if (input.attemptId !== session.attempt) {
      return failure("UNAVAILABLE", { retryAfter: 1 });
    }
    return { data: { result: { ...this.#answer(session, set), rotated } } };
  }

  #answer(session: FakeSession, set: (cookie: string) => void) {
    const refreshToken = `${session.id}.${session.generation}`;
    if (session.delivery === "COOKIE") set(refreshToken);
    const token = `access-${session.id}-${++this.#count}`;
    this.#tokens.set(token, { session: session.id, until: this.clock.now() + this.lifetime * 1000 });
    return {
      accessToken: { token, expiresIn: this.lifetime },
      refreshToken: session.delivery === "BODY" ? refreshToken : null,
      session: { id: session.id, idleExpiresAt: "2026-02-01T00:00:00.000Z", expiresAt: "2026-03-01T00:00:00.000Z" },
    };
  }
}

const reply = (body: unknown, status = 200, type = "application/json"): Response =>
  new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers: { "content-type": type } });
