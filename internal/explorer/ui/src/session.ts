// The session of this page, held by the client package's core, and the fetcher that keeps the two in step: what
// somebody types goes out in the core's turn, and the core learns the answer.

import type { Fetcher } from "@graphiql/toolkit";
import { createClient, type PawlClient, PawlError } from "@pawlauth/client";
import { createFetch } from "@pawlauth/client/fetch";
import { extend, mutationOf, rename, type Request, type Root, takeExtras } from "./request.js";
import { OTHER_DEVICE } from "./tour.js";

export const url = new URL("/graphql", location.href).href;

export interface Answer {
  data?: Record<string, any> | null;
  errors?: { message: string; extensions?: Record<string, unknown> }[];
}

type Headers = Record<string, string>;

/** What somebody typed, and now waits for the core's turn. */
interface Errand {
  request: Request;
  root: Root;
  headers: Headers;
  answered(answer: Answer): void;
}

const MIME = { "content-type": "application/json", accept: "application/graphql-response+json, application/json;q=0.9" };

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return { errors: [{ message: `HTTP ${response.status}: ${text.slice(0, 500)}` }] };
  }
}

const post = (request: Request, headers: Headers, init: RequestInit = {}): RequestInit => ({
  ...init,
  method: "POST",
  headers: { ...MIME, ...headers },
  body: JSON.stringify(request),
});

/** What the core hears when a session or an attempt was typed that is not its own: nothing about its own. */
const another = { message: "", extensions: { code: "BAD_USER_INPUT" } };

let errand: Errand | undefined;

/** The core's own `fetch`. Sends the errand in place of the core's request, when that is of the same kind. */
const carry: typeof fetch = async (target, init) => {
  const own = JSON.parse(String(init?.body)) as { query: string; variables: { input: Record<string, unknown> } };
  const current = errand;
  if (!current || !own.query.includes(`result:${current.root.name}(`)) return fetch(target, init);

  const { request, root, headers } = current;
  const input = root.name === "refreshToken" ? own.variables.input : {};
  const sent = post(extend(request, root, input), { ...(init?.headers as Headers), ...headers }, init);
  const answer = await read(await fetch(target, sent));
  const { explorerToken, explorerSession, explorerRotated } = takeExtras(answer.data?.[root.key]);
  const differs = (field: string) => field in root.input && root.input[field] !== own.variables.input[field];
  const isAnothers = ({ extensions }: { extensions?: Record<string, unknown> }) =>
    (extensions?.["code"] === "SESSION_CHANGED" && differs("sessionId")) ||
    (extensions?.["field"] === "attemptId" && differs("attemptId"));
  current.answered(answer);
  const errors = answer.errors?.map((error) => (isAnothers(error) ? another : error));
  const result = answer.data?.[root.key] && {
    ...answer.data[root.key],
    __typename: explorerToken ? "Began" : "Refused",
    accessToken: explorerToken,
    session: explorerSession,
    rotated: explorerRotated,
    refreshToken: null,
  };
  return Response.json({ data: { result }, ...(errors && { errors }) });
};

/** Shares lock, channel and pending refresh with every application of this origin that uses the package. */
export const pawl: PawlClient = createClient({ url, fetch: carry });

const authFetch = createFetch(pawl);

const asAnswer = (error: unknown): Answer => {
  if (!(error instanceof PawlError)) return { errors: [{ message: String(error) }] };
  const { code, reason, retryAfter } = error;
  const message = code === "SESSION_CHANGED" ? "Another tab signed in anew. The button in the bar above follows it." : error.message;
  return { errors: [{ message, extensions: { code, ...(reason && { reason }), ...(retryAfter && { retryAfter }) } }] };
};

/** Asks the core for the turn of `name`. */
async function turn(name: string): Promise<void> {
  if (name === "login") await pawl.login({ email: "", password: "" });
  else if (name === "logout") await pawl.logout();
  else if (name === "changePassword") await pawl.changePassword({ currentPassword: "", newPassword: "" });
  else {
    // A refresh that is asked for by hand follows whoever signed in last.
    if (pawl.state.status === "session-changed") pawl.reset();
    await pawl.refresh();
  }
}

/** Sends a request in the core's turn. */
async function inTurn(request: Request, root: Root, headers: Headers): Promise<Answer> {
  let answer: Answer | undefined;
  let failure: unknown;
  const first = new Promise<void>((done) => {
    const mine: Errand = {
      request,
      root,
      headers,
      answered(got) {
        answer = got;
        // The core repeats a refresh that may succeed later, with words of its own.
        if (root.name !== "refreshToken") return;
        if (errand === mine) errand = undefined;
        done();
      },
    };
    errand = mine;
  });
  // A refresh that was under way already, here or in another tab, is not the one that was asked for.
  for (let tries = 0; tries < 3 && !answer; tries++) {
    const over = turn(root.name).catch((error) => void (failure = error));
    await Promise.race([first, over]);
  }
  if (errand?.request === request) errand = undefined;
  return answer ?? asAnswer(failure);
}

const turns = ["login", "logout", "refreshToken", "changePassword"];

/** Whether the refresh token travels in bodies: such a session is none of this browser's. */
const inBodies = ({ input }: Root): boolean => "refreshToken" in input || input["refreshTokenDelivery"] === "BODY";

/** Ended sessions may include this page's own: the core finds out. */
function notice(answer: Answer): void {
  const { state } = pawl;
  const ended = state.status === "signed-in" && JSON.stringify(answer.data ?? {}).includes(state.sessionId);
  if (ended) pawl.refresh().catch(() => {});
}

/** Sends a request as this page's session. */
export async function ask(request: Request, headers: Headers = {}): Promise<Answer> {
  try {
    return await read(await authFetch(url, post(request, headers)));
  } catch (error) {
    return asAnswer(error);
  }
}

/** Sends a request that has no part in this page's session; without cookies, if `alone`. */
async function askPlainly(request: Request, headers: Headers, alone: boolean): Promise<Answer> {
  return read(await fetch(url, post(request, headers, { credentials: alone ? "omit" : "same-origin" })));
}

/** One after the other, as somebody runs them. */
let last: Promise<unknown> = Promise.resolve();

/** GraphiQL's fetcher. `heard` gets each answer. */
export function createFetcher(heard: (answer: Answer) => void): Fetcher {
  async function run(request: Request, headers: Headers): Promise<Answer> {
    if (request.operationName === "IntrospectionQuery") return askPlainly(request, headers, false);
    const root = mutationOf(request);
    if (root?.name === "login" && request.operationName === OTHER_DEVICE) return askPlainly(request, headers, true);
    if (root && turns.includes(root.name)) {
      return inBodies(root) ? askPlainly(request, headers, false) : inTurn(request, root, headers);
    }
    const answer = await ask(request, headers);
    if (root) notice(answer);
    return answer;
  }

  return ({ query, operationName, variables }, options) => {
    const answer = last.then(() => run(rename({ query, operationName, variables }), (options?.headers ?? {}) as Headers));
    last = answer.catch(() => {});
    void answer.then(heard, () => {});
    return answer as any;
  };
}
