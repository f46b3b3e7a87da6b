// Who is signed in: one client for the page, and a GraphQL client for each session.

import { createClient, type State } from "@pawlauth/client";
import { pawlExchange } from "@pawlauth/client/urql";
import { cacheExchange, Client, fetchExchange } from "@urql/core";
import { useEffect, useSyncExternalStore } from "react";

declare const PAWL_URL: string;

const url = `${PAWL_URL}/graphql`;

export const pawl = createClient({ url });

export const useSession = (): State => useSyncExternalStore(pawl.subscribe, () => pawl.state);

/** A new one for each session: what it keeps is one person's. */
export const newGraphQL = (): Client =>
  new Client({ url, exchanges: [cacheExchange, pawlExchange(pawl), fetchExchange], preferGetMethod: false });

/** Calls `work` whenever the person comes back to this page. */
export function useReturn(work: () => void): void {
  useEffect(() => {
    const look = () => document.visibilityState === "visible" && work();
    document.addEventListener("visibilitychange", look);
    addEventListener("focus", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      removeEventListener("focus", look);
    };
  }, [work]);
}
