package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificateLook is how often the files are read again.
const certificateLook = 5 * time.Second

// Certificate is what the server shows to TLS clients. It follows its files: a
// renewed pair is taken within seconds, for new connections. It is safe for
// concurrent use.
type Certificate struct {
	certFile, keyFile string
	now               func() time.Time
	current           atomic.Pointer[pair]
}

// pair is a certificate with what the files held.
type pair struct {
	tls       tls.Certificate
	cert, key []byte
}

// LoadCertificate reads a PEM certificate chain, the server's own first, and its
// private key, not encrypted. It is an error when they do not belong together,
// or when the certificate has expired. Errors name neither files nor contents.
func LoadCertificate(certFile, keyFile string, now func() time.Time) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, now: now}
	return c, c.load()
}

// Expires is when the certificate that is shown now expires.
func (c *Certificate) Expires() time.Time { return c.current.Load().tls.Leaf.NotAfter }

// load takes over the files where they hold another pair that can be used.
func (c *Certificate) load() error {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("the certificate cannot be read: %w", withoutPath(err))
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("the private key cannot be read: %w", withoutPath(err))
	}
	if old := c.current.Load(); old != nil && bytes.Equal(old.cert, cert) && bytes.Equal(old.key, key) {
		return nil
	}
	loaded, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("certificate and private key cannot be used together: %w", err)
	}
	if c.now().After(loaded.Leaf.NotAfter) {
		return errors.New("the certificate has expired")
	}
	c.current.Store(&pair{loaded, cert, key})
	return nil
}

// watch follows the files until ctx ends. While they cannot be used, the pair
// before goes on, and the log says so once for each problem.
func (c *Certificate) watch(ctx context.Context, log *slog.Logger) {
	look := time.NewTicker(certificateLook)
	defer look.Stop()
	for told := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		before := c.current.Load()
		err := c.load()
		switch {
		case err != nil && err.Error() != told:
			told = err.Error()
			log.Warn("the new TLS certificate cannot be used; the one before goes on",
				"event", "tls.certificate_refused", "problem", told)
		case err == nil && c.current.Load() != before:
			log.Info("a new TLS certificate is in use", "event", "tls.certificate_loaded",
				"expires", c.current.Load().tls.Leaf.NotAfter)
		}
		if err == nil {
			told = ""
		}
	}
}

// config speaks TLS 1.2 and 1.3 with the suites that Go calls secure.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c.current.Load().tls, nil },
	}
}

func withoutPath(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
