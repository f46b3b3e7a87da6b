// What GraphiQL may keep beyond the page: how it looks. Queries, variables, headers and answers hold passwords
// and tokens, so everything else lives in memory and is gone with the page.

const lasting = /^graphiql:(theme|\w+Flex)$/;

function lastingStorage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined; // The browser keeps nothing for this page.
  }
}

/** The `storage` of GraphiQL. */
export function careful() {
  const disk = lastingStorage();
  const memory = new Map<string, string>();
  const onDisk = () => Object.keys(disk ?? {}).filter((key) => lasting.test(key));

  return {
    getItem: (key: string): string | null => memory.get(key) ?? (lasting.test(key) ? disk?.getItem(key) : null) ?? null,
    setItem(key: string, value: string): void {
      if (disk && lasting.test(key)) disk.setItem(key, value);
      else memory.set(key, value);
    },
    removeItem(key: string): void {
      memory.delete(key);
      if (lasting.test(key)) disk?.removeItem(key);
    },
    clear(): void {
      memory.clear();
      for (const key of onDisk()) disk!.removeItem(key);
    },
    get length(): number {
      return memory.size + onDisk().length;
    },
  };
}
