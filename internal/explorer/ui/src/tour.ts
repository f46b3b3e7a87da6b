// The tabs that the explorer opens with. The editor wraps lines, on a phone too, so a paragraph is one line.

export interface Stop {
  query: string;
  variables?: string;
}

const demo = { email: "demo@example.com", password: "correct horse battery staple" };

/** Which way the refresh token takes is the default; said here because the editor asks for it. */
const input = (deviceName: string) => ({ ...demo, deviceName, refreshTokenDelivery: "COOKIE" });

const json = (value: unknown): string => JSON.stringify(value, null, 2);

/** The operation that `fetcher` sends as if it came from another device. */
export const OTHER_DEVICE = "OtherDevice";

/** The operation whose `$sessionId` the explorer fills in. */
export const REVOKE = "Revoke";

const logIn: Stop = {
  query: `# 1. Log in
#
# Run it: the pink button, or Ctrl-Enter. Email and password are under Variables; these are the demo user's of "pawl dev".
#
# It begins a session. The refresh token goes into a cookie that no script can read. The explorer keeps the access token in memory and sends it from now on; the bar above counts it down.

mutation LogIn($input: LoginInput!) {
  login(input: $input) {
    __typename
    ... on LoginPayload {
      user { email role }
      session { id expiresAt delivery }
      accessToken { token expiresIn }
    }
    ... on UserError { message }
    ... on TooManyAttemptsError { retryAfter }
  }
}
`,
  variables: json({ input: input("Explorer") }),
};

const whoAmI: Stop = {
  query: `# 2. Who am I
#
# Needs an access token; the explorer sends the one it got. Other services check it by themselves, with the public keys at /.well-known/jwks.json.
#
# Without one: UNAUTHENTICATED, and me is null.

query WhoAmI {
  me { id email role createdAt }
}
`,
};

const refresh: Stop = {
  query: `# 3. Refresh
#
# A new access token for the cookie. "rotated" says that the cookie's token was replaced, too: run it again at once, and it is false. It turns once in ten seconds, so that tabs cannot get in each other's way; a copy that turns up later ends the session.
#
# The explorer adds attemptId, which makes a lost answer harmless, and sessionId. It also refreshes by itself before the token expires.

mutation Refresh {
  refreshToken {
    rotated
    accessToken { token expiresIn }
    session { id lastUsedAt idleExpiresAt }
  }
}
`,
};

const otherDevice: Stop = {
  query: `# 4. Another device
#
# The same login from elsewhere: the explorer sends this one tab without cookies and ignores its token, so that you stay in your own session.

mutation ${OTHER_DEVICE}($input: LoginInput!) {
  login(input: $input) {
    __typename
    ... on LoginPayload { session { id deviceName } }
    ... on UserError { message }
  }
}
`,
  variables: json({ input: input("Old phone") }),
};

const mySessions: Stop = {
  query: `# 5. My sessions
#
# What a "your devices" page shows; "current" is the session that asks.

query MySessions {
  mySessions {
    id
    current
    deviceName
    lastUsedAt
    idleExpiresAt
    userAgent
    ipAddress
  }
}
`,
};

const revoke: Stop = {
  query: `# 6. Revoke
#
# Ends one of your sessions, at once: its access tokens stop working, too. The explorer took the id under Variables from the answer of My sessions.
#
# Run My sessions again: it is gone.

mutation ${REVOKE}($sessionId: ID!) {
  revokeSession(
    input: { sessionId: $sessionId }
  ) { sessionId }
}
`,
  variables: json({ sessionId: "" }),
};

const logOut: Stop = {
  query: `# 7. Log out
#
# Ends this session, in all tabs, and clears the cookie. Run Who am I again: UNAUTHENTICATED.

mutation LogOut {
  logout { sessionId }
}
`,
};

export const tour: Stop[] = [logIn, whoAmI, refresh, otherDevice, mySessions, revoke, logOut];
