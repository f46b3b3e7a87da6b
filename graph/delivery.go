package graph

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/session"
)

// handOut hands out what goes beside the body of an answer (the refresh cookie,
// Retry-After) and returns what the verb returned. It is the one place that says
// which outcomes touch the cookie; no error ever does.
func handOut[T any](ctx context.Context, r *Resolver, result T, err error) (T, error) {
	if limited, ok := errors.AsType[*auth.RateLimitedError](err); ok {
		return result, errors.Join(err, deliver(ctx, func(d *delivery) { d.retryAfter = limited.RetryAfter() }))
	}
	if err != nil {
		return result, err
	}
	switch v := any(result).(type) {
	case *auth.LoginPayload:
		if err = r.clearTwin(ctx, v.Credential); err == nil {
			err = r.setCookies(ctx, v.Credential, v.Session, v.DeviceProof)
		}
	case *auth.RefreshTokenPayload:
		if !v.Unchanged {
			err = r.setCookie(ctx, v.Credential, v.Session)
		}
	case *auth.ChangePasswordPayload:
		err = r.setCookies(ctx, v.Credential, v.Session, v.DeviceProof)
	case *auth.LogoutPayload:
		// A cookie and a body token together were refused: a cookie that came
		// along is the one that was used.
		err = r.clearCookie(ctx, len(auth.CallerFrom(ctx).RefreshCookies) > 0)
	case *auth.RevokeSessionPayload:
		err = r.clearCookie(ctx, v.ClearCookie)
	case *auth.RevokeAllSessionsPayload:
		err = r.clearCookie(ctx, v.ClearCookie)
	case auth.TooManyAttemptsError:
		err = deliver(ctx, func(d *delivery) { d.retryAfter = v.RetryAfter() })
	}
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

// setCookie hands out the refresh token of a COOKIE session for as long as the
// session has left: idle expiry is never past the absolute one.
func (r *Resolver) setCookie(ctx context.Context, credential auth.Credential, s session.Session) error {
	value, ok := credential.Cookie()
	if !ok {
		return nil
	}
	cookie := r.cookie.Set(value, s.IdleExpiresAt.Sub(r.now()))
	return deliver(ctx, func(d *delivery) { d.put(cookie) })
}

// setCookies hands out the refresh token of a new COOKIE session, and the proof
// that its user signed in from this browser.
func (r *Resolver) setCookies(ctx context.Context, credential auth.Credential, s session.Session, proof auth.DeviceProof) error {
	value, ok := proof.DeviceCookie()
	if !ok {
		return nil
	}
	if err := r.setCookie(ctx, credential, s); err != nil {
		return err
	}
	return deliver(ctx, func(d *delivery) { d.put(r.device.Set(value, device.Lifetime)) })
}

func (r *Resolver) clearCookie(ctx context.Context, wanted bool) error {
	if !wanted {
		return nil
	}
	return deliver(ctx, func(d *delivery) { d.put(r.cookie.Clear()) })
}

// clearTwin replaces the duplicates that came with a login. It is written before
// the cookie itself: a browser without partitions has only one of the two, and
// the later one counts.
func (r *Resolver) clearTwin(ctx context.Context, credential auth.Credential) error {
	twin := r.cookie.ClearTwin()
	if _, ok := credential.Cookie(); !ok || twin == nil || len(auth.CallerFrom(ctx).RefreshCookies) == 0 {
		return nil
	}
	return deliver(ctx, func(d *delivery) { d.put(twin) })
}

// errUndelivered: there is nobody left who would write the headers.
var errUndelivered = errors.New("graph: the answer's headers can no longer be changed")

// delivery collects, for one request, what resolvers want in the answer's
// headers. The transport writes it just before the header goes out. It is safe
// for concurrent use.
type delivery struct {
	mu         sync.Mutex
	sealed     bool
	cookies    []*http.Cookie
	retryAfter int
}

type deliveryKey struct{}

// deliver changes the delivery of the request, or fails where it would be lost.
func deliver(ctx context.Context, change func(*delivery)) error {
	d, _ := ctx.Value(deliveryKey{}).(*delivery)
	if d == nil {
		return errUndelivered
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sealed {
		return errUndelivered
	}
	change(d)
	return nil
}

// put keeps one cookie for each name and partition; the last one wins, in the
// place of the first.
func (d *delivery) put(cookie *http.Cookie) {
	for i, known := range d.cookies {
		if known.Name == cookie.Name && known.Partitioned == cookie.Partitioned {
			d.cookies[i] = cookie
			return
		}
	}
	d.cookies = append(d.cookies, cookie)
}

// flush writes what was collected and takes nothing more.
func (d *delivery) flush(header http.Header) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sealed = true
	for _, cookie := range d.cookies {
		header.Add("Set-Cookie", cookie.String())
	}
	if d.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(d.retryAfter))
	}
}
