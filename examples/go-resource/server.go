package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// newHandler serves the example's two resources: one for everybody who is signed
// in, and one for admins.
func newHandler(v *verifier) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.protect(func(w http.ResponseWriter, _ *http.Request, c *claims) {
		answer(w, http.StatusOK, map[string]any{"user": c.Subject, "orders": []string{"tea", "biscuits"}})
	}))
	mux.Handle("GET /reports", v.protect(func(w http.ResponseWriter, _ *http.Request, c *claims) {
		if c.Role != "ADMIN" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="orders", error="insufficient_scope", error_description="admins only"`)
			answer(w, http.StatusForbidden, map[string]any{"error": "admins only"})
			return
		}
		answer(w, http.StatusOK, map[string]any{"user": c.Subject, "reports": []string{"tea is popular"}})
	}))
	return mux
}

// protect lets requests with a good access token through. Others are answered as
// RFC 6750, section 3, says: 401 and WWW-Authenticate, on which a client
// refreshes once and repeats.
func (v *verifier) protect(next func(http.ResponseWriter, *http.Request, *claims)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := bearer(r.Header.Values("Authorization"))
		if !ok {
			refuse(w, `Bearer realm="orders"`, "an access token is needed")
			return
		}
		c, err := v.verify(r.Context(), token)
		switch {
		case errors.Is(err, errNoKeys):
			w.Header().Set("Retry-After", "5")
			answer(w, http.StatusServiceUnavailable, map[string]any{"error": errNoKeys.Error()})
		case errors.Is(err, jwt.ErrTokenExpired):
			refuse(w, `Bearer realm="orders", error="invalid_token", error_description="expired"`, "the access token has expired")
		case err != nil: // why is for a log; it may quote the token
			refuse(w, `Bearer realm="orders", error="invalid_token"`, "the access token is not valid")
		default:
			next(w, r, c)
		}
	})
}

// bearer takes the token out of the one Authorization header of a request.
func bearer(headers []string) (string, bool) {
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

func refuse(w http.ResponseWriter, challenge, message string) {
	w.Header().Set("WWW-Authenticate", challenge)
	answer(w, http.StatusUnauthorized, map[string]any{"error": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
