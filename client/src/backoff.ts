// Asks again until there is an answer, without becoming a burden to a server in trouble.

import type { Clock } from "./clock.js";
import { type PawlError, passes } from "./error.js";

/** Between half and all of 1, 2, 4 … 16 s; or what the server asks for and up to a fifth more. */
const pause = ({ retryAfter }: PawlError, failures: number): number =>
  1000 * (retryAfter ? retryAfter * (1 + Math.random() / 5) : 2 ** Math.min(failures, 4) * (1 - Math.random() / 2));

/**
 * Repeats `work` while its failure may pass, for `patience` milliseconds; then the failure is the answer. The
 * pause that a server asked for holds for whoever asks next, too.
 */
export function createBackoff(clock: Clock, patience: number): <T>(work: () => Promise<T>) => Promise<T> {
  let failures = 0;
  let failure: PawlError;
  let notBefore = 0;

  return async (work) => {
    const end = clock.now() + patience;
    for (;;) {
      if (failures) {
        if (notBefore > end) throw failure!;
        await new Promise<void>((done) => clock.after(notBefore - clock.now(), done));
      }
      try {
        const answer = await work();
        failures = 0;
        return answer;
      } catch (error) {
        if (!passes(error)) throw error;
        notBefore = clock.now() + pause(error, failures++);
        failure = error;
      }
    }
  };
}
