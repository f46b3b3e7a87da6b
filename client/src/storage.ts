// Where a client keeps what must outlive a page or a process.

/** A place for strings. Each method may answer at once or with a promise. */
export interface Storage {
  get(key: string): Promise<string | null | undefined> | string | null | undefined;
  set(key: string, value: string): Promise<unknown> | unknown;
  remove(key: string): Promise<unknown> | unknown;
}

/** Lives as long as the process. */
export function memoryStorage(): Storage {
  const values = new Map<string, string>();
  return {
    get: (key) => values.get(key),
    set: (key, value) => values.set(key, value),
    remove: (key) => values.delete(key),
  };
}

/**
 * `localStorage`, which every tab of the origin finds. Where a browser refuses it, nothing is kept. Scripts of
 * the page can read it, so it is no place for tokens.
 */
export function tabStorage(): Storage {
  const call = (method: "getItem" | "setItem" | "removeItem") => (key: string, value?: string) => {
    try {
      return localStorage[method](key, value!) as string | null | undefined;
    } catch {
      return undefined;
    }
  };
  return { get: call("getItem"), set: call("setItem"), remove: call("removeItem") };
}
