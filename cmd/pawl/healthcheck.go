package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

type healthcheckCmd struct {
	Addr    string `env:"PAWL_ADDR" default:":8080" placeholder:"HOST:PORT" help:"Where the server listens. Default: :8080."`
	TLSCert string `name:"tls-cert" env:"PAWL_TLS_CERT" placeholder:"FILE" help:"Set where the server speaks TLS."`
}

// Run succeeds when the server is ready.
func (c *healthcheckCmd) Run(io streams) error {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil || port == "0" {
		return &settingError{"PAWL_ADDR", "must be host:port, with the port that the server has"}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	scheme := "http://"
	if c.TLSCert != "" {
		scheme = "https://"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return &settingError{"PAWL_ADDR", "cannot be asked"}
	}
	client := &http.Client{Transport: &http.Transport{ // no proxy: it is this machine or this pod
		// The certificate names the public host. Nothing secret is sent or believed.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	response, err := client.Do(request)
	if err != nil {
		return errors.New("no answer: " + plain(err))
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: HTTP status %d", response.StatusCode)
	}
	_, _ = fmt.Fprintln(io.out, "ready")
	return nil
}
