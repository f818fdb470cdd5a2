# `make help` lists the targets. The first build compiles the embedded Temporal server: several silent minutes.
.DEFAULT_GOAL := help
.PHONY: help build test bench race fuzz soak chaos lint verify demo dev e2e record fmt generate ci

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/accord, bin/worker, bin/api and bin/starter
	@mkdir -p bin
	go build -o bin/ ./cmd/accord ./worker ./api ./starter

test: ## run the tests (those that need PostgreSQL run under `make ci`)
	go test ./...

chaos: ## kill everything at random while people edit: make chaos CHAOS=2m RATE=100 SEED=7 DB=postgres
	go test -tags e2e ./e2e -run '^TestChaos$$' -count=1 -v -timeout 0 -args -chaos $(or $(CHAOS),2m) -rate $(or $(RATE),100) -seed $(or $(SEED),0) -chaosdb $(or $(DB),postgres)

soak: ## play new random histories against the engine, and report: make soak SOAK=30m
	ACCORD_SOAK=$(or $(SOAK),30m) go test ./internal/engine -run '^TestSoak$$' -count=1 -timeout 0 -v

bench: ## measure what Accord costs: an hour; QUICK=1: 12 minutes; PARTS=calls,plan: some
	go run ./bench $(if $(QUICK),-quick,-out bench/results -doc docs/performance.md) $(if $(PARTS),-parts $(PARTS))

race: ## run the tests under the race detector, without the embedded Temporal server
	.ci/run race

fuzz: ## run every fuzz target: make fuzz FUZZTIME=1m
	FUZZTIME=$(or $(FUZZTIME),10s) .ci/run fuzz

lint: ## run the linters (golangci-lint is built on first use)
	.ci/run format vet lint workflowcheck

verify: ## every check and every proof in the form of CI, the storm apart (before a commit: make lint test)
	.ci/run format vet lint workflowcheck test histories fuzz e2e tryton

demo: ## show a whole synchronisation with two simulated systems
	go run ./cmd/accord demo

dev: ## run everything on this machine, data in .tmp/dev
	go run ./cmd/accord dev --data .tmp/dev

e2e: ## run the end-to-end suite
	.ci/run e2e

record: ## record the histories of the replay tests again, from a real run
	go test -tags e2e ./e2e -count=1 -run TestRecordedDay -record

fmt: ## format the code
	gofmt -w $$(find . -name '*.go' -not -path './.*')

generate: ## write the generated code again
	go generate ./...

ci: ## everything that must hold before a change is accepted
	.ci/run
