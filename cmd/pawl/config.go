package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/server"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/token"
)

// serverFlags are the settings that dev and serve share, as they were typed.
// All are text: a value that cannot be read is reported by this package, which
// names the setting and never repeats the value.
type serverFlags struct {
	Addr           string `env:"PAWL_ADDR" default:"${addr}" placeholder:"HOST:PORT" help:"Where to listen; localhost means both loopback addresses, port 0 picks a free one. Default: ${addr}."`
	AdminAddr      string `env:"PAWL_ADMIN_ADDR" default:"${admin_addr}" placeholder:"HOST:PORT" help:"Where metrics and profiles are served, or off. Default: ${admin_addr}."`
	Issuer         string `env:"PAWL_ISSUER" default:"${issuer}" placeholder:"URL" help:"Issuer (iss) of access tokens."`
	Audience       string `env:"PAWL_AUDIENCE" default:"${audience}" placeholder:"NAME" help:"Audience (aud) of access tokens."`
	AllowedOrigins string `env:"PAWL_ALLOWED_ORIGINS" placeholder:"ORIGIN,..." help:"Pages that may use the refresh cookie: exact scheme://host[:port], comma-separated.${origins_note}"`
	WebviewOrigins string `env:"PAWL_WEBVIEW_ORIGINS" placeholder:"ORIGIN,..." help:"Pages that may carry refresh tokens in bodies (app webviews)."`
	TrustedProxies string `env:"PAWL_TRUSTED_PROXIES" placeholder:"CIDR,..." help:"Peers whose X-Forwarded-For and X-Forwarded-Proto are believed, as 10.0.0.0/8."`
	NAT64Prefixes  string `name:"nat64-prefixes" env:"PAWL_NAT64_PREFIXES" placeholder:"CIDR,..." help:"Prefixes of translators of your own, below which IPv6 addresses hold those of IPv4 clients, as 2001:db8:64::/96."`
	CookieSamesite string `env:"PAWL_COOKIE_SAMESITE" default:"strict" placeholder:"strict" help:"SameSite of the refresh cookie: strict, lax or none (adds Partitioned). Default: strict."`

	AccessTTL      string `name:"access-ttl" env:"PAWL_ACCESS_TTL" default:"15m" placeholder:"15m" help:"Life of an access token, ${access_range}. Default: 15m."`
	IdleTTL        string `name:"idle-ttl" env:"PAWL_IDLE_TTL" default:"168h" placeholder:"168h" help:"A session unused for this long expires, ${ttl_range}. Default: 168h."`
	AbsoluteTTL    string `name:"absolute-ttl" env:"PAWL_ABSOLUTE_TTL" default:"720h" placeholder:"720h" help:"A session ends this long after its login, ${ttl_range}. Default: 720h."`
	ReuseGrace     string `env:"PAWL_REUSE_GRACE" default:"10s" placeholder:"10s" help:"A spent refresh token is still answered this long after the turn, 0s to 60s, at most a third of the idle lifetime. Default: 10s."`
	RetryWindow    string `env:"PAWL_RETRY_WINDOW" placeholder:"24h" help:"The same attemptId is answered this long after the turn, 0s to the idle lifetime. Default: 24h, or the idle lifetime where that is shorter."`
	SessionCap     string `env:"PAWL_SESSION_CAP" default:"20" placeholder:"20" help:"Live sessions per user, 1 to 1000. Default: 20."`
	RefreshBinding string `env:"PAWL_REFRESH_BINDING" default:"none" placeholder:"none" help:"none, or ip: a refresh from another IPv4 address or IPv6 /64 ends the session. Default: none."`
	RequireAttempt string `env:"PAWL_REQUIRE_ATTEMPT" default:"off" placeholder:"on|off" help:"Refuse refreshes without an attemptId. Default: off."`
	SharedSession  string `env:"PAWL_SHARED_SESSION" default:"warn" placeholder:"warn|end" help:"What happens to a session that two clients refresh in turns: warn records session.shared, end ends it too. Default: warn."`
	Leeway         string `env:"PAWL_LEEWAY" default:"15s" placeholder:"15s" help:"Clock difference allowed to an access token, 0s to 60s. Default: 15s."`

	Argon2Memory         string `name:"argon2-memory" env:"PAWL_ARGON2_MEMORY" default:"19456" placeholder:"KIB" help:"Memory of a password hash in KiB. Default: 19456."`
	Argon2Time           string `name:"argon2-time" env:"PAWL_ARGON2_TIME" default:"2" placeholder:"N" help:"Passes of a password hash. Default: 2."`
	Argon2Parallelism    string `name:"argon2-parallelism" env:"PAWL_ARGON2_PARALLELISM" default:"1" placeholder:"N" help:"Lanes of a password hash. Default: 1."`
	Argon2Concurrency    string `name:"argon2-concurrency" env:"PAWL_ARGON2_CONCURRENCY" placeholder:"N" help:"Password hashes at a time. Default: one less than there are cores, and at least one."`
	LoginNetworkRate     string `env:"PAWL_LOGIN_NETWORK_RATE" default:"30/2s" placeholder:"30/2s" help:"Logins of one network: how many at once, and how long until one more; or off. Default: 30/2s."`
	LoginAccountSchedule string `env:"PAWL_LOGIN_ACCOUNT_SCHEDULE" default:"5:30s,10:60s,20:5m,50:1h,100:24h" placeholder:"5:30s,…" help:"Failed logins of one account and the pause after so many; or off. Default: 5:30s,10:60s,20:5m,50:1h,100:24h."`
	LoginSuccessRate     string `env:"PAWL_LOGIN_SUCCESS_RATE" default:"60/10s" placeholder:"60/10s" help:"Right passwords of one account, of logins and apart from them of changes, like PAWL_LOGIN_NETWORK_RATE. Default: 60/10s."`
	RefreshNetworkRate   string `env:"PAWL_REFRESH_NETWORK_RATE" default:"600/100ms" placeholder:"600/100ms" help:"Refreshes of one network, on each server, whose token is none, like PAWL_LOGIN_NETWORK_RATE. Default: 600/100ms."`
	LoginMinDuration     string `env:"PAWL_LOGIN_MIN_DURATION" default:"${login_min}" placeholder:"300ms" help:"The least time a login takes, 0s to 5s. Default: ${login_min}."`

	Explorer      string `env:"PAWL_EXPLORER" default:"${explorer}" placeholder:"on|off" help:"Serve the explorer at /explorer. Default: ${explorer}."`
	Introspection string `env:"PAWL_INTROSPECTION" default:"${introspection}" placeholder:"on|off" help:"Answer introspection queries. Default: ${introspection}."`
	MaxBody       string `env:"PAWL_MAX_BODY" default:"64KiB" placeholder:"64KiB" help:"The largest request body, 1KiB to 16MiB. Default: 64KiB."`
	LogFormat     string `env:"PAWL_LOG_FORMAT" default:"${log_format}" placeholder:"text|json" help:"Format of the log on stderr. Default: ${log_format}."`
	LogLevel      string `env:"PAWL_LOG_LEVEL" default:"info" placeholder:"info" help:"debug, info, warn or error. Default: info."`
}

// tlsFlags make the server speak TLS itself.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" env:"PAWL_TLS_CERT" placeholder:"FILE" help:"Certificate chain in PEM, to serve HTTPS without a proxy; followed when it changes. Needs PAWL_TLS_KEY."`
	TLSKey  string `name:"tls-key" env:"PAWL_TLS_KEY" placeholder:"FILE" help:"The certificate's private key in PEM."`
}

// certificate is the pair of both files, nil where neither is set.
func (f tlsFlags) certificate(r *reader) *server.Certificate {
	switch {
	case f.TLSCert == "" && f.TLSKey == "":
		return nil
	case f.TLSCert == "":
		r.refuse("PAWL_TLS_CERT", "must be set where PAWL_TLS_KEY is")
		return nil
	case f.TLSKey == "":
		r.refuse("PAWL_TLS_KEY", "must be set where PAWL_TLS_CERT is")
		return nil
	}
	if replaceable(f.TLSCert) || replaceable(f.TLSKey) {
		r.refuse("PAWL_TLS_CERT", "or PAWL_TLS_KEY: others can write the file, or in its folder, and so answer in the server's place; chmod go-w them")
		return nil
	}
	certificate, err := server.LoadCertificate(f.TLSCert, f.TLSKey, time.Now)
	if err != nil {
		r.refuse("PAWL_TLS_CERT", "or PAWL_TLS_KEY: "+err.Error())
		return nil
	}
	return certificate
}

// verifiedTokens is how many access tokens are remembered as verified, at less
// than a kilobyte each: those of the clients that are active now.
const verifiedTokens = 16_384

// settings are what the flags come to.
type settings struct {
	addr, adminAddr        string // adminAddr is empty for none
	access                 token.Config
	allowedOrigins         []string // nil where none was set
	webviewOrigins         []string
	trustedProxies         []netip.Prefix
	nat64Prefixes          []netip.Prefix
	sameSite               http.SameSite
	policy                 session.Policy
	argon2                 password.Params
	hashConcurrency        int
	loginMin               time.Duration
	loginRate, refreshRate throttle.Rate
	loginSuccessRate       throttle.Rate
	loginSchedule          throttle.Schedule
	explorer               bool
	introspection          bool
	maxBody                int64
	logText                bool
	logLevel               slog.Level

	passwordWords []string // that no password may contain

	// What dev and serve decide each in its own way.
	databaseURL  secret.Text
	redisURL     secret.Text // empty: the memory store
	sentinelPass secret.Text
	keysDir      string
	secureCookie bool
	certificate  *server.Certificate // nil: plain HTTP
	staleAfter   time.Duration       // 0: the feed is this process's own
	failOpen     bool
	reconcile    time.Duration
	developer    bool // errors may suggest, / leads to the explorer
}

// limits are the ranges that dev widens.
type limits struct {
	shortest    time.Duration
	argon2Floor bool
}

// settings reads everything; r has what is wrong with it.
func (f *serverFlags) settings(r *reader, l limits) settings {
	s := settings{
		addr:           r.addr("PAWL_ADDR", f.Addr),
		allowedOrigins: r.origins("PAWL_ALLOWED_ORIGINS", f.AllowedOrigins, false),
		webviewOrigins: r.origins("PAWL_WEBVIEW_ORIGINS", f.WebviewOrigins, true),
		trustedProxies: r.prefixes("PAWL_TRUSTED_PROXIES", f.TrustedProxies),
		nat64Prefixes:  r.translators("PAWL_NAT64_PREFIXES", f.NAT64Prefixes),
		sameSite: oneOf(r, "PAWL_COOKIE_SAMESITE", f.CookieSamesite, choices[http.SameSite]{
			{"strict", http.SameSiteStrictMode}, {"lax", http.SameSiteLaxMode}, {"none", http.SameSiteNoneMode}}),
		access: token.Config{
			CacheSize: verifiedTokens,
			Issuer:    r.name("PAWL_ISSUER", f.Issuer),
			Audience:  r.name("PAWL_AUDIENCE", f.Audience),
			TTL:       r.duration("PAWL_ACCESS_TTL", f.AccessTTL, l.shortest, time.Hour),
			Leeway:    r.duration("PAWL_LEEWAY", f.Leeway, 0, time.Minute),
		},
		policy:           f.policy(r, l),
		argon2:           f.argon2(r, l),
		loginRate:        r.rate("PAWL_LOGIN_NETWORK_RATE", f.LoginNetworkRate),
		loginSchedule:    r.schedule("PAWL_LOGIN_ACCOUNT_SCHEDULE", f.LoginAccountSchedule),
		loginSuccessRate: r.rate("PAWL_LOGIN_SUCCESS_RATE", f.LoginSuccessRate),
		refreshRate:      r.rate("PAWL_REFRESH_NETWORK_RATE", f.RefreshNetworkRate),
		loginMin:         r.duration("PAWL_LOGIN_MIN_DURATION", f.LoginMinDuration, 0, 5*time.Second),
		explorer:         oneOf(r, "PAWL_EXPLORER", f.Explorer, onOff),
		introspection:    oneOf(r, "PAWL_INTROSPECTION", f.Introspection, onOff),
		maxBody:          r.size("PAWL_MAX_BODY", f.MaxBody, 1<<10, 16<<20),
		logText:          oneOf(r, "PAWL_LOG_FORMAT", f.LogFormat, choices[bool]{{"json", false}, {"text", true}}),
		logLevel: oneOf(r, "PAWL_LOG_LEVEL", f.LogLevel, choices[slog.Level]{
			{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError}}),
	}
	if r.good("PAWL_ACCESS_TTL") && s.access.TTL%time.Second != 0 {
		r.refuse("PAWL_ACCESS_TTL", "must be whole seconds")
	}
	s.hashConcurrency = max(1, runtime.GOMAXPROCS(0)-1) // a core is left for those who need no password
	if f.Argon2Concurrency != "" {
		s.hashConcurrency = r.number("PAWL_ARGON2_CONCURRENCY", f.Argon2Concurrency, 1, 1024)
	}
	if f.AdminAddr != "off" {
		s.adminAddr = r.addr("PAWL_ADMIN_ADDR", f.AdminAddr)
	}
	s.passwordWords = passwordWords(s.access.Issuer)
	return s
}

// passwordWords are what no password may contain, whoever chooses it: the
// product's name, and the host of the issuer (or all of it, where it is no URL).
func passwordWords(issuer string) []string {
	if u, err := url.Parse(issuer); err == nil && u.Hostname() != "" {
		issuer = u.Hostname()
	}
	return []string{"pawl", issuer}
}

func (f *serverFlags) policy(r *reader, l limits) session.Policy {
	const longest = 90 * 24 * time.Hour
	p := session.Policy{
		Idle:     r.duration("PAWL_IDLE_TTL", f.IdleTTL, l.shortest, longest),
		Absolute: r.duration("PAWL_ABSOLUTE_TTL", f.AbsoluteTTL, l.shortest, longest),
		Grace:    r.duration("PAWL_REUSE_GRACE", f.ReuseGrace, 0, time.Minute),
		Cap:      r.number("PAWL_SESSION_CAP", f.SessionCap, 1, 1000),
		BindIP:   oneOf(r, "PAWL_REFRESH_BINDING", f.RefreshBinding, choices[bool]{{"none", false}, {"ip", true}}),

		RequireAttempt: oneOf(r, "PAWL_REQUIRE_ATTEMPT", f.RequireAttempt, onOff),
		EndShared:      oneOf(r, "PAWL_SHARED_SESSION", f.SharedSession, choices[bool]{{"warn", false}, {"end", true}}),
	}
	if r.good("PAWL_IDLE_TTL", "PAWL_ABSOLUTE_TTL") && p.Idle > p.Absolute {
		r.refuse("PAWL_IDLE_TTL", "must not be longer than PAWL_ABSOLUTE_TTL")
	}
	if r.good("PAWL_IDLE_TTL", "PAWL_REUSE_GRACE") && p.Grace > p.Idle/3 {
		r.refuse("PAWL_REUSE_GRACE", "must be at most a third of PAWL_IDLE_TTL")
	}
	p.Retry = min(24*time.Hour, p.Idle)
	if f.RetryWindow != "" {
		p.Retry = r.duration("PAWL_RETRY_WINDOW", f.RetryWindow, 0, longest)
		if r.good("PAWL_IDLE_TTL") && p.Retry > p.Idle {
			r.refuse("PAWL_RETRY_WINDOW", "must not be longer than PAWL_IDLE_TTL")
		}
	}
	return p
}

// owaspFloor is the least memory in KiB for a number of passes (OWASP Password
// Storage Cheat Sheet, argon2id; the last line holds for more passes too).
var owaspFloor = [...]int{1: 47104, 2: 19456, 3: 12288, 4: 9216, 5: 7168} //nolint:gochecknoglobals // a table, never written

func (f *serverFlags) argon2(r *reader, l limits) password.Params {
	// The upper ends are what a stored hash may ask for: beyond them a hash
	// counts as unreadable.
	memory := r.number("PAWL_ARGON2_MEMORY", f.Argon2Memory, 8, 256<<10)
	passes := r.number("PAWL_ARGON2_TIME", f.Argon2Time, 1, 10)
	lanes := r.number("PAWL_ARGON2_PARALLELISM", f.Argon2Parallelism, 1, 4)
	good := r.good("PAWL_ARGON2_MEMORY", "PAWL_ARGON2_TIME", "PAWL_ARGON2_PARALLELISM")
	if good && memory < 8*lanes {
		r.refuse("PAWL_ARGON2_MEMORY", "must be at least 8 KiB for each of PAWL_ARGON2_PARALLELISM")
	}
	if good && l.argon2Floor && memory < owaspFloor[min(passes, len(owaspFloor)-1)] {
		r.refuse("PAWL_ARGON2_MEMORY", "is below OWASP's floor for this PAWL_ARGON2_TIME (19456 KiB with 2 passes)")
	}
	return password.Params{MemoryKiB: uint32(memory), Time: uint32(passes), Parallelism: uint8(lanes)}
}

// loopback reports whether every address that addr can mean is this machine's own.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
