package main

const (
	memory = "internal/session/memstore/"
	redis  = "internal/session/redisstore/"
	auth   = "internal/auth/"
)

// all is every sabotage. A name says what the sabotaged Pawl does.
func all() []mutant {
	inMemory := guard{packages: "./internal/session/memstore"}
	inRedis := guard{packages: "./internal/session/redisstore", run: "TestStore/in_process|TestKeys"}
	realRedis := guard{packages: "./internal/session/redisstore", run: "TestLateCommand"}
	tokens := guard{packages: "./internal/session"}
	feeds := guard{packages: "./internal/revocation/redisfeed"}
	verbs := guard{packages: "./internal/auth"}
	ledgers := guard{packages: "./internal/ledger"}
	revocations := guard{packages: "./internal/revocation"}
	access := guard{packages: "./internal/token"}
	trusted := guard{packages: "./cmd/pawl", run: "TestUntrustedKeys"}
	slow := guard{packages: "./internal/server", run: "OverTLS|OverHTTP2"}

	one := func(name string, tests guard, file, before, after string) mutant {
		return mutant{name: name, tests: tests, edits: []edit{{file, before, after}}}
	}
	return []mutant{
		one("memory: windows are exclusive", inMemory, memory+"rotate.go",
			"now.Sub(then) <= window", "now.Sub(then) < window"),
		one("memory: a grace of 0 is on within a millisecond", inMemory, memory+"rotate.go",
			"return window > 0 && ", "return "),
		one("memory: a session turns as often as it is asked to", inMemory, memory+"rotate.go",
			"state.Generation > 1 && (recovering", "state.Generation > 1<<60 && (recovering"),
		one("memory: no session is held to attempt ids", inMemory, memory+"rotate.go",
			"state.Held && !p.Attempt", "false && !p.Attempt"),
		one("memory: another client's attempt gets the successor", inMemory, memory+"rotate.go",
			"case grace && state.Attempt.FromClient():", "case false:"),
		one("memory: a stale token is forgiven on an idle session", inMemory, memory+"rotate.go",
			"if grants(outcome) && !now", "if !now"),
		one("memory: any secret will do", inMemory, memory+"rotate.go",
			"case p.SecretHash != state.SecretHash:", "case false:"),
		one("memory: a revocation writes over a tombstone", inMemory, memory+"memstore.go",
			"\t\tif r.reason == \"\" {\n\t\t\tr.end(end.Reason, now)\n\t\t}", "\t\tr.end(end.Reason, now)"),
		one("memory: the most recently used session is evicted", inMemory, memory+"memstore.go",
			"a.state.LastUsedAt.Compare(b.state.LastUsedAt)", "b.state.LastUsedAt.Compare(a.state.LastUsedAt)"),
		one("memory: a checkpoint lowers a generation", inMemory, memory+"memstore.go",
			"known.Generation > r.state.Generation", "known.Generation != r.state.Generation"),
		one("memory: a late call is carried out", inMemory, memory+"memstore.go",
			"if err := ctx.Err(); err != nil {", "if err := ctx.Err(); err != nil && false {"),

		one("rotate.lua: a session turns as often as it is asked to", inRedis, redis+"rotate.lua",
			"if s.generation > 1 and (recovering", "if false and (recovering"),
		one("rotate.lua: another client's attempt gets the successor", inRedis, redis+"rotate.lua",
			"elseif in_grace and from_client(s.attempt) then", "elseif false then"),
		one("rotate.lua: reuse ends nothing", inRedis, redis+"rotate.lua",
			"if outcome == 'reuse' or outcome == 'binding' then", "if outcome == 'binding' then"),
		one("rotate.lua: time runs backwards", inRedis, redis+"rotate.lua",
			"now = math.max(now, s.used", "local _ = math.max(now, s.used"),
		one("rotate.lua: a server's attempt expires", inRedis, redis+"rotate.lua",
			"(not from_client(attempt) or in_grace", "(in_grace"),
		one("restore.lua: idle expiry counts from the recovery", inRedis, redis+"restore.lua",
			"s.idle = math.min(s.used + idle", "s.idle = math.min(now + idle"),
		one("restore.lua: the dead rise", inRedis, redis+"restore.lua",
			"if value and is_tombstone(value) then", "if false then"),
		one("create.lua: the dead rise", inRedis, redis+"create.lua",
			"if existing and is_tombstone(existing) then", "if false then"),
		one("revoke.lua: a revocation writes over a tombstone", inRedis, redis+"revoke.lua",
			"if not (value and is_tombstone(value)) then", "if true then"),
		one("state.lua: keys live for ever", inRedis, redis+"state.lua",
			"if want > redis.call('PTTL', KEYS[1]) then", "if false then"),
		{name: "state.lua: a late command is carried out", tests: realRedis, redis: true,
			edits: []edit{{redis + "state.lua", "if now > tonumber(ARGV[2]) then", "if false then"}}},

		one("token: the MAC is not looked at", tokens, "internal/session/token.go",
			"if !hmac.Equal(", "if false && !hmac.Equal("),
		{name: "token: the MAC leaves the generation out", tests: tokens, edits: []edit{
			{"internal/session/token.go", "key.token(raw)...", "key.token(raw[:len(raw)-8])..."},
			{"internal/session/token.go", "key.token(raw[:signedSize])", "key.token(raw[:signedSize-8])"},
		}},
		one("token: a retired key is good", tokens, "internal/session/token.go",
			"if key.state == KeyRetired {", "if false {"),
		{name: "token: secrets are printed", tests: tokens, edits: []edit{
			{"internal/session/token.go", "value *string", "value string"},
			{"internal/session/token.go", "Secret{value: &value}", "Secret{value: value}"},
			{"internal/session/token.go", "if s.value != nil {", "if s.value != \"\" {"},
			{"internal/session/token.go", "copy(bytes[:], *s.value)", "copy(bytes[:], s.value)"},
		}},

		one("refresh: the wrong channel is as good", verbs, auth+"refresh.go",
			"if tok.Delivery != channel && !ended {", "if tok.Delivery != channel && !ended && false {"),
		one("refresh: an outage signs out", verbs, auth+"refresh.go",
			"return fmt.Errorf(\"%w: %s\", ErrUnavailable, outcome)", "return ErrRefreshRevoked"),
		one("recover: the ledger's word is not heard", verbs, auth+"recover.go",
			"case entry.Ended():", "case false:"),
		one("checkpoint: the ledger's answer is not heard", verbs, auth+"checkpoint.go",
			"case entry.Ended():", "case false:"),
		one("endings: the ledger does not learn of reuse", verbs, auth+"endings.go",
			"defer cancel()\n\tfor _, end := range ends {", "defer cancel()\n\tfor _, end := range ends[:0] {"),
		one("authenticate: access tokens outlive their session", verbs, auth+"authenticate.go",
			"case s.Revoked.Contains(claims.SessionID):", "case false:"),
		one("refresh: this node's knowledge of an end is not asked", verbs, auth+"refresh.go",
			"ended := s.Revoked.Contains(tok.SessionID)", "ended := false"),
		one("authenticate: a stale feed is believed", verbs, auth+"authenticate.go",
			"case s.feedStale():", "case false:"),
		one("checkpoint: the ledger is asked once a minute", verbs, auth+"checkpoint.go",
			"case !p.asked:", "case false:"),
		one("password: the caller is left without a session when the store is down", verbs, auth+"password.go",
			"s.Log.Warn(\"the session of a changed password", "return nil, err\n\t\ts.Log.Warn(\"the session of a changed password"),
		one("password: it changes although no session begins", verbs, "internal/user/write.go",
			"\t\treturn then(tx, credentialVersion+1)", "\t\t_ = then(tx, credentialVersion+1)\n\t\treturn nil"),
		one("refresh: keys are loaded twice", verbs, auth+"refresh.go",
			"return s.grant(c, keys, tok", "return s.grant(c, s.Keys.Load(), tok"),
		one("refresh: the token is judged with older keys", verbs, auth+"refresh.go",
			"keys := s.Keys.Load()\n\ttok, err := keys.Refresh.Parse(text)", "tok, err := s.Keys.Load().Refresh.Parse(text)\n\tkeys := s.Keys.Load()"),
		one("refresh: the successor is made with newer keys", verbs, auth+"refresh.go",
			"refresh, err := keys.Refresh.Mint(", "refresh, err := s.Keys.Load().Refresh.Mint("),
		one("refresh: the access token is made with newer keys", verbs, auth+"refresh.go",
			"access, err := keys.Issuer.Issue(", "access, err := s.Keys.Load().Issuer.Issue("),
		one("endings: a forged token ends a session when the ledger is down", verbs, auth+"endings.go",
			"findErr == nil && state.SecretHash != tok.Secret.Hash()", "findErr == nil && state.SecretHash == [32]byte{}"),
		one("gates: a proof outlives its password", verbs, auth+"gates.go",
			"a.proof.UserID == u.ID && a.proof.CredentialVersion == u.CredentialVersion", "a.proof.UserID == u.ID"),
		one("gates: a gate that cannot be asked is open", verbs, auth+"gates.go",
			"if err == nil && verdict.Allowed() {", "if err != nil || verdict.Allowed() {"),
		one("gates: a wrong password is given back", verbs, auth+"gates.go",
			"\tcase LoginInvalid:\n\t\treturn\n", "\tcase LoginInvalid:\n\t\ts.uncharge(ctx, a)\n"),
		{name: "feed: a cursor ahead of the stream waits for ever", tests: feeds, redis: true,
			edits: []edit{{"internal/revocation/redisfeed/reader.go", "if newest.before(r.cursor) {", "if false {"}}},
		{name: "feed: nothing is read again", tests: feeds, redis: true,
			edits: []edit{{"internal/revocation/redisfeed/reader.go", "r.cursor.ms-overlap.Milliseconds()", "r.cursor.ms+1"}}},
		{name: "feed: silence counts as news", tests: feeds, redis: true,
			edits: []edit{{"internal/revocation/redisfeed/reader.go", "if err != nil && !errors.Is(err, redis.Nil) {\n\t\treturn", "if false {\n\t\treturn"}}},

		one("ledger: a login survives a password change", ledgers, "internal/ledger/begin.go",
			"u.status = ? AND u.credential_version = ? `+", "u.status = ? AND u.credential_version >= ? `+"),
		one("lease: it is taken from a server that runs", ledgers, "internal/ledger/leaserow.go",
			"WHERE leases.expires_at <= now()", "WHERE leases.expires_at <> now()"),
		one("lease: a lost one is taken back", ledgers, "internal/ledger/leaserow.go",
			"WHERE name = ? AND owner = ?\",\n\t\tr.times", "WHERE name = ? AND owner IS NOT NULL OR owner = ?\",\n\t\tr.times"),
		one("lease: it counts for as long as its row", ledgers, "internal/ledger/leaserow.go",
			"return now.Sub(sent) < r.times.serve && now.Round(0).Sub(sent.Round(0)) < r.times.serve", "return now.Sub(sent) < 2*r.times.life"),
		one("ledger: a checkpoint sinks", ledgers, "internal/ledger/checkpoint.go",
			"generation = CASE WHEN ` + newer + ` THEN", "generation = CASE WHEN c.generation > 0 THEN"),
		one("ledger: a lost turn is written down after its recovery", ledgers, "internal/ledger/checkpoint.go",
			"(COALESCE(c.recovered_at, sessions.created_at), c.generation", "(sessions.created_at, c.generation"),
		one("memory: a lost turn comes back after its recovery", inMemory, memory+"memstore.go",
			" && !known.RecoveredAt.Before(r.state.RecoveredAt)", ""),
		one("restore.lua: a lost turn comes back after its recovery", inRedis, redis+"restore.lua",
			"known.recovered < hot.recovered or ", ""),
		one("revocation: the set forgets after a minute", revocations, "internal/revocation/set.go",
			"const Window = 61 * time.Minute", "const Window = 61 * time.Second"),
		one("keys: others may write in their folder", trusted, "cmd/pawl/trust.go",
			"case othersWrite(info) && info.Mode()&fs.ModeSticky == 0:", "case false:"),
		one("keys: a link is not followed", trusted, "cmd/pawl/trust.go",
			"isSeparator), rest...)", "isSeparator)[:0], rest...)"),
		one("server: half an HTTP/2 frame is waited for", slow, "internal/server/serve.go",
			"SendPingTimeout: pingAfter, ", ""),
		one("access tokens never expire", access, "internal/token/verifier.go",
			"return !now.Before(claims.ExpiresAt.Add(v.config.Leeway))", "return claims.ExpiresAt.IsZero()"),
		one("access tokens: the cache ignores the last character", access, "internal/token/verifier.go",
			"sha256.Sum256([]byte(text))", "sha256.Sum256([]byte(text[:max(len(text)-1, 0)]))"),
		one("access tokens: text is a date", access, "internal/token/claims.go",
			"strconv.ParseFloat(string(raw), 64)", "strconv.ParseFloat(string(bytes.Trim(raw, `\"`)), 64)"),
		one("access tokens: a claim may come twice", access, "internal/token/claims.go",
			"if _, twice := m[text]; twice || !ok {", "if !ok {"),
	}
}
