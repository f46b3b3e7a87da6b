// Package graph owns the GraphQL API: the transport between HTTP and GraphQL,
// the limits on documents, the directives, the resolvers, and the one table
// that turns the errors of the verbs into codes. It is the only package (with
// the two below it) that knows gqlgen. It refuses to know how a session works,
// what a header of the request says about its sender, and where anything is
// stored: a resolver unpacks, calls one verb of package auth, and hands out what
// came back.
//
// The way of a request: [NewHandler] → transport.go (method, media types, size)
// → body.go (one JSON object) → document.go (parse, limits.go, validate, cache)
// → the resolvers in schema.resolvers.go → delivery.go (cookies) → answer.
// Nothing of what a request said is ever repeated in an error or a log line.
package graph

//go:generate go tool gqlgen generate
