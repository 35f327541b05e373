# What a person or CI asks of this repository. `make` alone lists it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# One cargo at a time: it uses every core by itself.
.NOTPARALLEL:

# Everything built lives outside the clone, so that the next clone builds no dependency again.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/driftmill/target
export CARGO_NET_RETRY ?= 5

# One profile and one selection of packages for every call: another `-p` or profile would build polars and the broker again.
# --ignore-rust-version: `rama`, under the embedded broker, declares a newer Rust than it needs.
CARGO_FLAGS := --workspace --release --locked --ignore-rust-version
BIN := $(CARGO_TARGET_DIR)/release/driftmill
E2E := e2e

step = @printf '==> %s\n' '$(1)' >&2

##@ Use
run: build ## Start everything on this machine: broker, ClickHouse, pipelines, gateway (ARGS="…" for `driftmill up`)
	@exec "$(BIN)" up $(ARGS)

build: setup ## Build the driftmill binary
	$(call step,Building Driftmill (some twenty minutes on two cores the first time))
	@cargo build $(CARGO_FLAGS) --bin driftmill

setup: ## Install what is missing and fetch the ClickHouse engine
	@scripts/setup.sh build

##@ Test
test: build ## Unit, contract and end-to-end tests, on the embedded broker and engine, a real schema registry, MLflow and S3 server
	@scripts/setup.sh registry mlflow s3
	$(call step,Tests on the embedded broker and engine)
	@DRIFTMILL_TEST_REGISTRY_HOME="$$(scripts/registry-fetch.sh)" DRIFTMILL_TEST_S3_HOME="$$(scripts/s3-fetch.sh)" \
	  DRIFTMILL_BIN="$(BIN)" $(if $(ARGS),,scripts/mlflow-check.sh) cargo test $(CARGO_FLAGS) $(ARGS)

test-mlflow: ## The tests that mirror to a real MLflow server, and MLflow's own client that reads them
	@scripts/setup.sh mlflow
	@scripts/mlflow-check.sh cargo test $(CARGO_FLAGS) --test mlflow $(ARGS)

test-onnx: ## Models to ONNX Runtime and from scikit-learn, and how far the numbers are apart (1e-6 at most)
	@scripts/setup.sh python
	$(call step,ONNX: ours by ONNX Runtime, and those of scikit-learn by us)
	@cargo build $(CARGO_FLAGS) --example exchange
	@scripts/onnx-check.sh "$(dir $(BIN))examples/exchange"

test-notebook: build ## docs/notebook top to bottom against a stack of its own (SAVE=FILE keeps it with its outputs)
	@scripts/setup.sh python
	$(call step,The notebook)
	@scripts/notebook-check.sh "$(BIN)" $(SAVE)

test-gpu: ## Training on a graphics card beside the CPU's; in software where there is no card (some twenty minutes the first time)
	@scripts/setup.sh gpu
	$(call step,Training on a graphics card)
	@cargo test --package driftmill-vision --features gpu --release --locked --ignore-rust-version cnn:: -- --nocapture $(ARGS)

test-real: build ## The end-to-end tests on a real Apache Kafka, with the stages as separate processes
	@scripts/setup.sh registry kafka s3
	$(call step,End-to-end tests on Apache Kafka)
	@DRIFTMILL_KAFKA_HOME="$$(scripts/kafka-fetch.sh)" DRIFTMILL_TEST_REGISTRY_HOME="$$(scripts/registry-fetch.sh)" \
	  DRIFTMILL_TEST_S3_HOME="$$(scripts/s3-fetch.sh)" DRIFTMILL_BIN="$(BIN)" DRIFTMILL_TEST_BROKER=kafka \
	  cargo test $(CARGO_FLAGS) --test $(E2E) $(ARGS)

BROKER ?= embedded
ROUNDS ?= 200
SEED ?= 1
FIRST ?= 0
chaos: build ## Kill, stop and cut off everything at random, then account for every record (BROKER=kafka ROUNDS=1000 SEED=1 FIRST=0)
	@[[ "$(BROKER)" != kafka ]] || scripts/setup.sh kafka
	$(call step,Chaos: $(ROUNDS) rounds of seed $(SEED) on the $(BROKER) broker)
	@[[ "$(BROKER)" != kafka ]] || { DRIFTMILL_KAFKA_HOME="$$(scripts/kafka-fetch.sh)"; export DRIFTMILL_KAFKA_HOME; }; \
	  DRIFTMILL_BIN="$(BIN)" DRIFTMILL_TEST_BROKER="$(BROKER)" DRIFTMILL_TEST_CHAOS_ROUNDS="$(ROUNDS)" \
	  DRIFTMILL_TEST_CHAOS_SEED="$(SEED)" DRIFTMILL_TEST_CHAOS_FIRST="$(FIRST)" \
	  cargo test $(CARGO_FLAGS) --test $(E2E) chaos::nothing -- --nocapture

##@ Measure
# A program named on the command line (BIN=…) is measured as it is, not built.
bench-ingest: ## Ingestion: ours, its ceiling, peers; table and plot (QUICK=1, ONLY=drain,alone, BIN=…; benches/ingest/README.md)
	$(call step,Building the ingestion benchmark)
	@scripts/setup.sh build kafka
	@cargo build $(CARGO_FLAGS) --bin bench-ingest $(if $(filter file,$(origin BIN)),--bin driftmill)
	@benches/ingest/run.sh "$(CARGO_TARGET_DIR)/release/bench-ingest" "$(BIN)"

bench-models: ## Models beside scikit-learn, LightGBM, XGBoost; table and plot (SIZES=150,10000; benches/models/README.md)
	$(call step,Building the benchmark of the models)
	@scripts/setup.sh build
	@cargo build $(CARGO_FLAGS) --bin bench-models
	@benches/models/run.sh "$(CARGO_TARGET_DIR)/release/bench-models"

bench-drift: ## Drift beside Evidently, NannyML, SciPy, River, whylogs, alibi-detect; tables and plots (ONLY=speed; benches/drift/README.md)
	$(call step,Building the benchmark of drift)
	@scripts/setup.sh python
	@cargo build --package driftmill-bench-drift --release --locked --ignore-rust-version
	@benches/drift/run.sh "$(CARGO_TARGET_DIR)/release/bench-drift"

##@ Check
check: check-light lint ## All checks, the cheap ones first

check-light: check-setup check-format check-text check-scripts check-compose check-dependencies ## All checks that compile nothing

check-setup:
	@scripts/setup.sh build check

check-format: ## Formatting
	$(call step,Formatting)
	@cargo fmt --all --check

check-text: ## No machine's paths and no registry's addresses in tracked files
	$(call step,Text of tracked files)
	@scripts/check-text.sh

check-scripts: ## Shell scripts, by shellcheck
	$(call step,Shell scripts)
	@git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run | xargs -0 shellcheck --external-sources

check-compose: ## docker-compose.yml, by a compose client
	$(call step,Compose file)
	@scripts/check-compose.sh

check-dependencies: ## Licences, sources, and which crate may use which (deny.toml), by cargo-deny
	$(call step,Dependencies)
	@scripts/cargo-deny.sh --locked check licenses bans sources

lint: ## Clippy and rustdoc, with warnings denied
	$(call step,Clippy)
	@cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	$(call step,Documentation)
	@RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --no-deps

help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run build setup test test-mlflow test-onnx test-notebook test-gpu test-real chaos bench-ingest bench-models bench-drift check check-light \
  check-setup check-format check-text check-scripts check-compose check-dependencies lint help
