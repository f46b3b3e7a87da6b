// What both apps share: the client that the address asks for, and `app`, by which a test speaks with the page.
//
//   ?pawl=URL       Pawl, or a relay in front of it
//   &timeout=MS     the package's time limit: half of the server's reuse grace
//   &bare           without the package

import { createClient, type PawlClient, type State } from "@pawlauth/client";
import { type Bare, createBare } from "./bare.js";

export interface Answer {
  me: { email: string } | null;
}

/** What a test finds as `app`. */
export interface App {
  pawl: PawlClient | undefined;
  login(email: string, password: string): Promise<unknown>;
  /** `count` queries at once; each comes to the address of whoever is signed in, or to what went wrong. */
  burst(count: number): Promise<string[]>;
  /** What the state was, in order. */
  history: string[];
}

const parameters = new URLSearchParams(location.search);
const alone = parameters.has("bare");

export const url = `${parameters.get("pawl")}/graphql`;
export const pawl: PawlClient | undefined = alone
  ? undefined
  : createClient({ url, timeout: Number(parameters.get("timeout")) });
export const bare: Bare | undefined = alone ? createBare(url) : undefined;

const word = ({ status, ...rest }: State): string => ("reason" in rest ? `${status} ${rest.reason}` : status);

/** Begins, with a way to ask one query. */
export function show(ask: (query: string) => Promise<Answer>): void {
  const history: string[] = [];
  const draw = () => {
    const now = pawl ? word(pawl.state) : "bare";
    if (history.at(-1) !== now) history.push(now);
    document.getElementById("state")!.textContent = now;
  };
  pawl?.subscribe(draw);
  draw();

  async function one(name: string): Promise<string> {
    try {
      const { me } = await ask(`query ${name} { me { email } ${name}: __typename }`);
      return me?.email ?? "nobody";
    } catch (error) {
      return String(error);
    }
  }

  const app: App = {
    pawl,
    history,
    login: (email, password) => (pawl ? pawl.login({ email, password }) : bare!.login(email, password)),
    burst: (count) => Promise.all(Array.from({ length: count }, (_, i) => one(`q${i}`))),
  };
  Object.assign(globalThis, { app });
}
