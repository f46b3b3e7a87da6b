// Package session owns what a session is: the refresh token, the policy, the
// words for what a refresh can come to, and the contract of the store that
// keeps the hot state. It refuses to know where the state is kept (memstore,
// redisstore), what the ledger remembers, and how a client is reached.
//
// A refresh token is a self-authenticating counter. For each session and
// generation there is exactly one, on every node and after any crash, so a
// fork cannot be written down and a lost answer can be given again without any
// token being stored.
package session
