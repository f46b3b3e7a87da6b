package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Listeners accept connections on one port, on one or more addresses.
type Listeners []net.Listener

// Listen opens addr (host:port). The host localhost means both loopback
// addresses, 127.0.0.1 and ::1, on the same port; where the machine has no
// IPv6, the first alone. An empty host means every address. Port 0 picks a
// free one: see [Listeners.Port].
func Listen(ctx context.Context, addr string) (Listeners, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("server: an address to listen on is host:port: %w", err)
	}
	if host != "localhost" {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("server: %w", err)
		}
		return Listeners{l}, nil
	}
	// A port that is free on one address may be taken on the other.
	const attempts = 20
	for range attempts {
		var both Listeners
		if both, err = listenLoopback(ctx, port); err == nil {
			return both, nil
		}
		if port != "0" || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("server: %w", err)
}

func listenLoopback(ctx context.Context, port string) (Listeners, error) {
	var config net.ListenConfig
	v4, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	same := strconv.Itoa(Listeners{v4}.Port())
	v6, err := config.Listen(ctx, "tcp6", net.JoinHostPort("::1", same))
	switch {
	case err == nil:
		return Listeners{v4, v6}, nil
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return Listeners{v4}, nil
	}
	_ = v4.Close()
	return nil, err
}

// Port is the port that was opened.
func (l Listeners) Port() int { return l[0].Addr().(*net.TCPAddr).Port }

// Close stops listening.
func (l Listeners) Close() error {
	var errs []error
	for _, each := range l {
		errs = append(errs, each.Close())
	}
	return errors.Join(errs...)
}
