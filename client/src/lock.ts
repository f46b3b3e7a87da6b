// One at a time: within this tab always, across tabs where the browser has Web Locks.

/** The part of `navigator.locks` that is used. */
export interface Locks {
  request<T>(
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
    work: (lock: unknown) => Promise<T>,
  ): Promise<T>;
}

/** Runs `work` when its turn comes; `waited` says that another tab was busy before. */
export type Lock = <T>(work: (waited: boolean) => Promise<T>) => Promise<T>;

/**
 * Another tab is waited for `limit` milliseconds at most. Taking turns saves requests and keeps answers in
 * order, but no session depends on it: a tab that hangs holds nobody up for good.
 */
export function createLock(locks: Locks | null | undefined | false, name: string, limit: number): Lock {
  let queue: Promise<unknown> = Promise.resolve();

  async function acrossTabs<T>(work: (waited: boolean) => Promise<T>): Promise<T> {
    let begun: Promise<T> | undefined;
    try {
      await (locks as Locks).request(name, { ifAvailable: true }, async (lock) => lock && (begun = work(false)));
      if (!begun) await (locks as Locks).request(name, { signal: AbortSignal.timeout(limit) }, () => (begun = work(true)));
    } catch {
      // No locks here, or another tab took too long; or `work` failed, which its own promise tells.
    }
    return begun || work(!!locks);
  }

  return (work) => {
    const turn = queue.then(() => acrossTabs(work));
    queue = turn.catch(() => {});
    return turn;
  };
}
