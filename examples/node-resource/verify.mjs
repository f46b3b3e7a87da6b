// Judges access tokens with the keys that Pawl publishes, and never asks Pawl
// about a token.
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from "jose";

const MAX_TOKEN = 4096; // characters; Pawl's tokens have less than one thousand
const RELOAD = 5 * 60_000; // what Cache-Control of the JWKS says

/** The token is not good. `expired` when nothing is wrong with it but its age. */
export class InvalidToken extends Error {
  constructor(message, expired = false) {
    super(message);
    this.expired = expired;
  }
}

/** No key was ever fetched, so nothing can be said about any token. */
export class NoKeys extends Error {}

const LATEST = 253_402_300_799; // the end of the year 9999, in seconds since 1970

/** Whether each claim has its type (RFC 7519); jose looks only at those it judges, and lets 1e999 pass. */
function hasTypes({ aud, iss, sub, sid, jti, role, ...dates }) {
  const isText = (value) => value === undefined || typeof value === "string";
  const isDate = (value) => value === undefined || (typeof value === "number" && value >= 0 && value <= LATEST);
  return (
    [iss, sub, sid, jti, role].every(isText) &&
    [aud].flat().every((one) => typeof one === "string") &&
    [dates.exp, dates.nbf, dates.iat].every(isDate)
  );
}

/**
 * Returns a function from a token to its claims; it throws InvalidToken or NoKeys.
 *
 * The keys of `jwksUrl` are fetched every five minutes, and when a token names
 * one that is unknown, but then at most once per `unknownEvery` milliseconds. A
 * fetch that fails leaves the keys as they are.
 */
export function createVerifier({ jwksUrl, issuer, audience, unknownEvery = 10_000 }) {
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    cacheMaxAge: Infinity, // an outage of Pawl must not make its keys expire
    cooldownDuration: unknownEvery,
    timeoutDuration: 3000,
  });
  const reload = () => keys.reload().catch((error) => console.warn("fetching the keys failed:", error.message));
  setInterval(reload, RELOAD).unref();
  reload();

  return async function verify(token) {
    if (token.length > MAX_TOKEN) throw new InvalidToken("too long");
    try {
      // Without a name jose would try whichever key fits.
      if (!decodeProtectedHeader(token).kid) throw new InvalidToken("names no key");
      // A key of the JWKS fits only the algorithm that it names itself.
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ["EdDSA", "ES256", "RS256"],
        typ: "at+jwt",
        issuer,
        audience,
        requiredClaims: ["exp", "iat", "sub", "sid"],
        clockTolerance: 15, // seconds
      });
      if (!hasTypes(payload)) throw new InvalidToken("a claim has the wrong type");
      if (payload.iat > Date.now() / 1000 + 15) throw new InvalidToken("issued in the future");
      return payload;
    } catch (error) {
      if (error instanceof InvalidToken) throw error;
      if (error instanceof errors.JWTExpired) throw new InvalidToken("expired", true);
      if (!keys.jwks()) throw new NoKeys("the keys of Pawl are not known yet");
      throw new InvalidToken("not valid");
    }
  };
}
