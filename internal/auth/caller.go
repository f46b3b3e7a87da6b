package auth

import (
	"context"

	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
)

type callerKey struct{}

// WithCaller returns a context for one request of the caller. What its fields
// read from the stores they read once.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(context.WithValue(ctx, callerKey{}, c), readsKey{}, new(reads))
}

// CallerFrom is the caller that ctx carries; the zero Caller, who may do
// nothing, when there is none.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// mayUse reports ErrCrossOrigin where the channel is closed to the caller.
func (c Caller) mayUse(d session.Delivery) error {
	if d == session.DeliveryCookie && c.CookieAllowed || d == session.DeliveryBody && c.BodyAllowed {
		return nil
	}
	return ErrCrossOrigin
}

// presented is the one refresh token of a request and the channel it came on.
// The channel's rules are judged first, so that a closed channel looks the same
// with and without a token.
func (c Caller) presented(body *secret.Text) (secret.Text, session.Delivery, error) {
	channel := session.DeliveryCookie
	if body != nil {
		channel = session.DeliveryBody
	}
	if err := c.mayUse(channel); err != nil {
		return secret.Text{}, channel, err
	}
	switch {
	case body != nil && len(c.RefreshCookies) > 0, len(c.RefreshCookies) > 1:
		return secret.Text{}, channel, ErrAmbiguous
	case body != nil:
		return *body, channel, nil
	case len(c.RefreshCookies) == 0:
		return secret.Text{}, channel, ErrRefreshMissing
	}
	return c.RefreshCookies[0], channel, nil
}

// ipAddress is the caller's address as text; empty when unknown.
func (c Caller) ipAddress() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}
