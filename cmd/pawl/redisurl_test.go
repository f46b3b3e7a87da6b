package main_test

import (
	"fmt"
	"strings"
	"testing"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
)

func TestParseRedisURL(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"redis://localhost", "redis [localhost:6379] '' '' '' 0 false"},
		{"redis://:pw@10.0.0.1:7000/2", "redis [10.0.0.1:7000] '' '' 'pw' 2 false"},
		{"rediss://u:p%40%3A%2F%3F@h/1", "redis [h:6379] '' 'u' 'p@:/?' 1 true"},
		{"redis://u:p@w@h", "redis [h:6379] '' 'u' 'p@w' 0 false"},
		{"redis://[::1]:7000/1", "redis [[::1]:7000] '' '' '' 1 false"},
		{"redis://[::1]", "redis [[::1]:6379] '' '' '' 0 false"},
		{"redis+sentinel://u:p@a,b:26380,[::1]/main/3", "redis+sentinel [a:26379 b:26380 [::1]:26379] 'main' 'u' 'p' 3 false"},
		{"rediss+sentinel://a/main", "redis+sentinel [a:26379] 'main' '' '' 0 true"},
		{"redis+cluster://u:p@a:1,b:2,c", "redis+cluster [a:1 b:2 c:6379] '' 'u' 'p' 0 false"},
		{"rediss+cluster://a/0", "redis+cluster [a:6379] '' '' '' 0 true"},
		{"redis://", "error"},
		{"redis://,a", "error"},
		{"redis://a:b:c", "error"},
		{"redis://a:0", "error"},
		{"redis://a/-1", "error"},
		{"redis://a/1/2", "error"},
		{"redis+sentinel:///main", "error"},
		{"redisx://a", "error"},
		{"rediss", "error"},
		{"", "error"},
	} {
		place, err := pawl.ParseRedisURL(tt.url)
		kind, hosts, master, user, password, db, secure := place.Parts()
		got := fmt.Sprintf("%s %v '%s' '%s' '%s' %d %t", kind, hosts, master, user, password, db, secure)
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%s: got %s (%v), want %s", tt.url, got, err, tt.want)
		}
	}
}

func FuzzParseRedisURL(f *testing.F) {
	f.Add("redis+sentinel://u:p@a,b:26380,[::1]/main/3")
	f.Add("rediss://u:p%40@h/1")
	f.Fuzz(func(t *testing.T, url string) {
		place, err := pawl.ParseRedisURL(url)
		_, hosts, _, _, _, _, _ := place.Parts()
		if err == nil && (len(hosts) == 0 || strings.Contains(strings.Join(hosts, ""), "@")) {
			t.Errorf("%q: got hosts %q", url, hosts)
		}
		_, rest, _ := strings.Cut(url, "://") // the schemes are named, what follows is not
		if err != nil && len(rest) > 12 && strings.Contains(err.Error(), rest) {
			t.Errorf("%q: the error repeats it: %v", url, err)
		}
	})
}
