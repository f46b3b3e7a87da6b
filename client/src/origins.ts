// Where the access token may go.

/** Written out, not `URL.origin`, which React Native does not have. Undefined for what is no HTTP address. */
function originOf(url: string): string | undefined {
  try {
    const { href } = new URL(url, globalThis.location?.href);
    return /^https?:\/\/[^/?#]+/i.exec(href)?.[0].toLowerCase();
  } catch {
    return undefined;
  }
}

/** Tells of a URL whether it leads to one of `urls`' origins, or to the page's own. */
export function ownOrigins(urls: readonly string[]): (url: string) => boolean {
  const own = new Set([...urls, globalThis.location?.href ?? ""].map(originOf));
  return (url) => {
    const origin = originOf(url);
    return !!origin && own.has(origin);
  };
}
