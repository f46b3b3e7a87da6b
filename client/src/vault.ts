// What a client keeps beyond a page or a process, in the one order that loses nothing: a new refresh token is
// stored before the attempt that brought it is dropped, and an attempt is read before the token it goes with.

import type { Storage } from "./storage.js";

/** What an answer gives to keep; both are null for a COOKIE session. */
export interface Kept {
  refreshToken: string | null;
  deviceToken?: string | null;
}

type Token = string | null | undefined;

export interface Vault {
  /**
   * The id of the refresh that waits for an answer, maybe in another tab; or a new one. It is stored when this
   * resolves.
   */
  attempt(): Promise<string>;
  /** Nothing for a COOKIE client. */
  refreshToken(): Promise<Token>;
  deviceToken(): Promise<Token>;
  /** A session began. Whatever waited for an answer has lost its session. */
  begin(kept: Kept): Promise<void>;
  /** `sent` was answered: with `next`, or with its end. Without an attempt, any that waits is dropped. */
  settle(attempt?: string, sent?: Token, next?: Token): Promise<void>;
}

export function createVault(storage: Storage, name: string, body: boolean): Vault {
  const tokenKey = name + ".refresh";
  const deviceKey = name + ".device";
  const attemptKey = name + ".attempt";
  /** What the storage did not keep. */
  let ownAttempt: string | undefined;
  let ownToken: Token;

  const vault: Vault = {
    async attempt() {
      // A new one has 160 bits, as about 50 digits and dashes.
      ownAttempt = (await storage.get(attemptKey)) || ownAttempt || crypto.getRandomValues(new Uint32Array(5)).join("-");
      await storage.set(attemptKey, ownAttempt);
      // A tab that wrote at the same moment may have won: all use what is stored.
      return (ownAttempt = (await storage.get(attemptKey)) || ownAttempt);
    },
    refreshToken: async () => (body ? ownToken || storage.get(tokenKey) : null),
    deviceToken: async () => storage.get(deviceKey),
    async begin({ refreshToken, deviceToken }) {
      ownToken = refreshToken;
      try {
        if (refreshToken) await storage.set(tokenKey, refreshToken);
        ownToken = null;
        if (deviceToken) await storage.set(deviceKey, deviceToken);
        await vault.settle();
      } catch {
        // The session has begun all the same. The next refresh stores its own token, or tells why not.
      }
    },
    async settle(attempt, sent, next) {
      // Somebody may have signed in anew meanwhile: that token stays.
      if (sent && (await vault.refreshToken()) === sent) {
        await (next ? storage.set(tokenKey, next) : storage.remove(tokenKey));
        ownToken = null;
      }
      ownAttempt = undefined;
      if (!attempt || (await storage.get(attemptKey)) === attempt) await storage.remove(attemptKey);
    },
  };
  return vault;
}
