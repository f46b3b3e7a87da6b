// Package auth owns the verbs: log in, refresh, log out, list and end sessions,
// change a password. Each verb is one method that reads from top to bottom. The
// package refuses to know GraphQL, HTTP, SQL and Redis: whoever receives a
// request describes its sender as a [Caller], and the nouns keep their state.
//
// Two rules run through all verbs. Whatever a store did not answer is
// [ErrUnavailable], and nothing is concluded from it. Work that has begun is
// finished: once state may change, the client's hanging up cancels nothing.
package auth
