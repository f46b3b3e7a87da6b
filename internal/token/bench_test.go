package token_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/token"
)

func BenchmarkIssue(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(string(alg), func(b *testing.B) {
			p := newParty(b, generate(b, alg), config)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.issuer.Issue(user, session, "USER", start, start.Add(time.Hour)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyUncached(b *testing.B) {
	uncached := config
	uncached.CacheSize = 0
	for _, alg := range algorithms {
		b.Run(string(alg), func(b *testing.B) { verify(b, newParty(b, generate(b, alg), uncached)) })
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	verify(b, newParty(b, generate(b, token.EdDSA), config))
}

func BenchmarkVerifyCachedParallel(b *testing.B) {
	p := newParty(b, generate(b, token.EdDSA), config)
	p.verifier = must(token.NewVerifier(p.ring, config, func() time.Time { return start }))
	raw := p.issue(b).Token
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.verifier.Verify(raw); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func verify(b *testing.B, p party) {
	raw := p.issue(b).Token
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.verifier.Verify(raw); err != nil {
			b.Fatal(err)
		}
	}
}
