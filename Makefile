# Pawl's chores. `make help` lists them; the ones that need Redis and PostgreSQL
# start private ones and stop them again (scripts/with-services).

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Built from source on first use (about two minutes on two cores), from Go's cache afterwards.
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

FUZZTIME ?= 30s
BENCHTIME ?= 2s

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## the embedded default on http://localhost:8080, nothing to install
	go run ./cmd/pawl dev

.PHONY: build
build: ## one static binary: bin/pawl
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/pawl ./cmd/pawl

.PHONY: test
test: build ## every test, with the race detector, against a real Redis and PostgreSQL (installs what is missing)
	@scripts/need cc redis postgresql
	scripts/with-services scripts/no-secrets env CGO_ENABLED=1 PAWL_BIN=$(CURDIR)/bin/pawl go test -race -timeout 12m $(TESTFLAGS) ./...
	go test ./internal/session/model # the whole search; under the race detector it is a short one

.PHONY: lint
lint: ## gofmt, go vet, golangci-lint
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on:" >&2; echo "$$unformatted" >&2; exit 1; }
	go vet ./...
	$(GOLANGCI_LINT) run ./...

.PHONY: generate
generate: ## write generated code anew
	go generate ./...

.PHONY: passwords
passwords: ## the embedded list of leaked passwords anew, from its published source (installs npm if missing)
	@scripts/need npm
	go run ./scripts/leakedlist

.PHONY: explorer
explorer: ## the embedded explorer anew, from internal/explorer/ui (installs npm if missing; Node 20.19, 22.12 or newer)
	@scripts/need npm
	npm ci --prefix internal/explorer/ui --no-audit --no-fund --loglevel=error
	npm run build --prefix internal/explorer/ui

.PHONY: explorer-verify
explorer-verify: ## the embedded explorer is what `make explorer` would write
	@scripts/need npm
	npm ci --prefix internal/explorer/ui --no-audit --no-fund --loglevel=error
	npm run verify --prefix internal/explorer/ui

.PHONY: verify
verify: ## generated code and go.mod are what `make generate` and `go mod tidy` would write
	scripts/verify-generated
	go mod tidy -diff

.PHONY: bench
bench: ## benchmarks against a real Redis and PostgreSQL (BENCH=regexp, BENCHTIME=2s)
	scripts/with-services go test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -benchtime $(BENCHTIME) ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s) each
	scripts/fuzz $(FUZZTIME)

.PHONY: mutants
mutants: ## sabotage the rules one by one; the suites must catch each
	@scripts/need redis postgresql
	scripts/with-services go run ./scripts/mutants

.PHONY: chaos
chaos: ## faults under load until nothing is lost: REFRESHES=200000 or DURATION=10m, SEED=n, REDIS=single|sentinel|cluster
	@scripts/need redis postgresql
	scripts/with-services env PAWL_CHAOS_REFRESHES=$(or $(REFRESHES),$(if $(DURATION),0,200000)) PAWL_CHAOS_DURATION=$(DURATION) \
		PAWL_CHAOS_SEED=$(SEED) PAWL_CHAOS_REDIS=$(REDIS) go test ./chaos -run '^TestChaos$$' -count=1 -v -timeout 3h

.PHONY: audit
audit: ## the GraphQL-over-HTTP audit suite against a running server (installs npm if missing)
	@scripts/need npm
	npm ci --prefix scripts/audit --no-audit --no-fund --loglevel=error
	scripts/no-secrets scripts/with-dev sh -c 'node scripts/audit/audit.mjs "$$PAWL_URL/graphql"'

.PHONY: client
client: ## the npm package: tests (some against `pawl dev`), build, size (installs npm if missing)
	@scripts/need npm
	npm ci --prefix client --no-audit --no-fund --loglevel=error
	scripts/no-secrets scripts/with-dev npm test --prefix client
	npm run --prefix client build
	npm run --prefix client size

.PHONY: ci
ci: ## everything that must hold before a change lands
	.ci/run

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: examples
examples: ## the tests of examples/, and the command of each of their READMEs (installs npm if missing)
	@scripts/need npm
	scripts/no-secrets scripts/examples

.PHONY: schema
schema: ## schema.graphqls: lint, comparison with the last release, docs/schema.md up to date (installs npm if missing)
	@scripts/need npm
	npm ci --prefix scripts/schema --no-audit --no-fund --loglevel=error
	cd scripts/schema && node_modules/.bin/graphql-schema-linter --config-directory . ../../schema.graphqls
	node scripts/schema/compare.mjs
	node scripts/schema/reference.mjs
	cd scripts/schema && node --test --test-reporter=dot

.PHONY: schema-docs
schema-docs: ## docs/schema.md anew from schema.graphqls (installs npm if missing)
	@scripts/need npm
	npm ci --prefix scripts/schema --no-audit --no-fund --loglevel=error
	node scripts/schema/reference.mjs --write

# Packages of a folder, when its lock file changed. The client package is used as it would be published.
%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund --loglevel=error
	@touch $@

client/dist/index.js: client/node_modules/.package-lock.json client/package.json $(wildcard client/src/*.ts)
	npm run --prefix client --silent build

browser-packages := client/dist/index.js examples/react/node_modules/.package-lock.json browser/node_modules/.package-lock.json

.PHONY: browser
browser: need-browser $(browser-packages) ## the client package, the examples and the explorer in Chromium, against a real Redis and PostgreSQL
	npm run --prefix examples/react --silent check
	npm run --prefix browser --silent check
	scripts/with-services scripts/no-secrets node --test-reporter=spec browser/run.mjs

.PHONY: screenshots
screenshots: need-browser $(browser-packages) ## the pictures of the React example in docs/images anew
	scripts/with-services node browser/screenshots.mjs

.PHONY: need-browser
need-browser:
	@scripts/need npm chromium redis postgresql

.PHONY: example-react
example-react: client/dist/index.js examples/react/node_modules/.package-lock.json ## the React example on http://localhost:5173, with a Pawl of its own
	scripts/with-dev npm start --prefix examples/react
