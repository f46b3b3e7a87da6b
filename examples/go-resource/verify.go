package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

const (
	maxToken     = 4096             // bytes; Pawl's tokens have less than one thousand
	leeway       = 15 * time.Second // clock difference allowed to a token
	fetchTimeout = 3 * time.Second
	reload       = 5 * time.Minute // what Cache-Control of the JWKS says
)

// errNoKeys: no key was ever fetched, so nothing can be said about any token.
var errNoKeys = errors.New("the keys of Pawl are not known yet")

// verifier judges access tokens with the keys that Pawl publishes, and never
// asks Pawl about a token.
type verifier struct {
	parser   *jwt.Parser
	known    jwkset.Storage // the keys as they were fetched last
	fetching sync.Mutex
	asking   jwkset.Storage // the same keys; an unknown one makes it fetch anew
}

// newVerifier fetches the keys of jwksURL now, every five minutes, and when a
// token names one that is unknown, but then at most once per unknownEvery. A
// fetch that fails leaves the keys as they are; the first one may fail too.
func newVerifier(ctx context.Context, jwksURL, issuer, audience string, unknownEvery time.Duration, log *slog.Logger) (*verifier, error) {
	known, err := jwkset.NewStorageFromHTTP(jwksURL, jwkset.HTTPClientStorageOptions{
		Ctx:                       ctx,
		Client:                    &http.Client{CheckRedirect: refuseRedirect},
		HTTPTimeout:               fetchTimeout,
		RefreshInterval:           reload,
		NoErrorReturnFirstHTTPReq: true,
		RefreshErrorHandler: func(ctx context.Context, err error) {
			log.WarnContext(ctx, "fetching the keys failed", "err", err)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	asking, err := jwkset.NewHTTPClient(jwkset.HTTPClientOptions{
		HTTPURLs:          map[string]jwkset.Storage{jwksURL: known},
		RefreshUnknownKID: rate.NewLimiter(rate.Every(unknownEvery), 1),
		RateLimitWaitMax:  fetchTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	// Which algorithm is right is the key's business: see [verifier.key].
	parser := jwt.NewParser(
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
		jwt.WithStrictDecoding(),
	)
	return &verifier{parser: parser, known: known, asking: asking}, nil
}

func refuseRedirect(*http.Request, []*http.Request) error {
	return errors.New("the JWKS has moved; set its new address")
}

// verify returns what a good token says. Its errors are errNoKeys, or tell why
// the token is not good; jwt.ErrTokenExpired is among them.
func (v *verifier) verify(ctx context.Context, token string) (*claims, error) {
	if len(token) > maxToken {
		return nil, errors.New("the token is too long")
	}
	var c claims
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return v.key(ctx, t) })
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// key finds the key that the header names. The key fixes the algorithm: what the
// token says about it must agree, and chooses nothing (RFC 8725, section 3.1).
func (v *verifier) key(ctx context.Context, t *jwt.Token) (any, error) {
	if t.Header["typ"] != "at+jwt" {
		return nil, errors.New("the token is no access token") // another JWT of the same issuer
	}
	if _, critical := t.Header["crit"]; critical {
		return nil, errors.New("the token asks for an extension that is not known here")
	}
	id, _ := t.Header["kid"].(string)
	if id == "" {
		return nil, errors.New("the token names no key")
	}
	key, err := v.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if string(key.Marshal().ALG) != t.Method.Alg() {
		return nil, errors.New("the token's key signs with another algorithm")
	}
	return key.Key(), nil
}

// find looks among the keys that are here, and then fetches them anew. Requests
// that need the same new key wait for one fetch, which goes on when its request
// is given up.
func (v *verifier) find(ctx context.Context, id string) (jwkset.JWK, error) {
	key, err := v.known.KeyRead(ctx, id)
	if !errors.Is(err, jwkset.ErrKeyNotFound) {
		return key, err
	}
	v.fetching.Lock()
	defer v.fetching.Unlock()
	key, err = v.asking.KeyRead(context.WithoutCancel(ctx), id)
	if err == nil {
		return key, nil
	}
	if all, _ := v.known.KeyReadAll(ctx); len(all) == 0 {
		return key, errNoKeys
	}
	return key, err
}
