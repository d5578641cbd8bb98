# Mainstay. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
DATA ?= data
LISTEN ?= 127.0.0.1:8600

.PHONY: help run ui release deps test check fmt e2e shots bench dist openapi fuzz schemathesis clean

help: ## List the targets
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: release ## Build everything and start it with this machine enrolled
	./target/release/mainstay up --data $(DATA) --listen $(LISTEN)

ui/node_modules/.stamp: ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund --loglevel=error
	touch $@

ui: ui/node_modules/.stamp ## Build the web page
	cd ui && npm run --silent build

release: ui ## Build the release binary
	cargo build --release --locked -p server

deps: ## Install what the tests need (Debian packages)
	scripts/test-deps

test: deps ui ## Run every test
	scripts/test

check: ## Formatting, lints and the shape of the house
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo xtask tidy
	cargo xtask deps

fmt: ## Format the Rust code
	cargo fmt --all

e2e: ui ## Browser tests on the debug binary
	cargo build --locked -p server
	scripts/e2e

shots: release ## Make the pictures of the README from the demonstration
	cd ui && MAINSTAY_PROGRAM=../target/release/mainstay npm run --silent pictures

bench: release ## Run every benchmark against its peer
	@for run in bench/*/run; do echo "== $$run"; "$$run" $(BENCH_FLAGS); done

openapi: ## Write ui/openapi.json and the generated client types
	cargo xtask openapi
	cd ui && npm run --silent api

fuzz: ## Run every fuzz target over its seeds and many mutations of them
	scripts/fuzz

schemathesis: ui ## Try every operation of the API against its description
	cargo build --locked -p server
	scripts/schemathesis

dist: release ## Pack the binary, its checksum and the man page under dist/
	scripts/dist

clean: ## Remove what was built
	cargo clean
	rm -rf ui/dist ui/node_modules dist
