#!/usr/bin/env bash
# Brings a Debian machine with Rust, Node and Python to where Driftmill builds and runs; says nothing new on a second run.
#
#   scripts/setup.sh [build] [check] [registry] [kafka] [s3] [python] [mlflow] [gpu]
#
# Each group names what its make targets need: `build` (the default) for run, build and test; `check` for the linters;
# `registry` for the schema registry of the tests; `kafka` for the real broker of test-real; `s3` for the S3 server of the
# tests; `python` for test-onnx and test-notebook; `mlflow` for the MLflow server of the tests; `gpu` for a graphics card in
# software, which test-gpu trains on where there is no other. Every run looks at the tools themselves; there is no stamp to
# go stale.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

rust_wanted="$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)"
node_wanted=18
build_gib=8

missing=()

# need_command NAME PACKAGE: PACKAGE is missing if NAME cannot be run.
need_command() {
  command -v "$1" >/dev/null || missing+=("$2")
}

# need_library NAME PACKAGE: PACKAGE is missing if pkg-config does not find the C library NAME.
need_library() {
  if ! command -v pkg-config >/dev/null || ! pkg-config --exists "$1"; then
    missing+=("$2")
  fi
}

check_rust() {
  command -v cargo >/dev/null ||
    fail "Rust is not installed. Driftmill needs $rust_wanted or newer: install it with rustup, then run this again."
  local have
  have="$(cargo --version | awk '{ print $2 }')"
  version_at_least "$have" "$rust_wanted" ||
    fail "Rust $have is too old, Driftmill needs $rust_wanted or newer: run \`rustup update stable\`, then run this again."
}

check_rust_linters() {
  local component
  for component in fmt clippy; do
    cargo "$component" --version >/dev/null 2>&1 ||
      fail "\`cargo $component\` is not installed: run \`rustup component add rustfmt clippy\`, then run this again."
  done
}

# A first build that dies of a full disk after twenty minutes is a bad greeting.
check_disk() {
  local target="${CARGO_TARGET_DIR:-$cache/target}" free_gib
  [[ ! -d "$target" ]] || return 0
  mkdir -p "$(dirname "$target")"
  free_gib="$(($(df -Pk "$(dirname "$target")" | awk 'NR == 2 { print $4 }') / 1048576))"
  ((free_gib >= build_gib)) ||
    fail "$(dirname "$target") has $free_gib GiB free, building Driftmill takes $build_gib GiB: make room, or set CARGO_TARGET_DIR."
}

need_build() {
  check_rust
  check_disk
  # aws-lc, librdkafka, lz4, lzma and zstd are compiled from the sources inside their crates …
  need_command cc gcc
  need_command c++ g++
  need_command make make
  need_command perl perl
  # … against the system's OpenSSL and zlib.
  need_command pkg-config pkg-config
  need_library openssl libssl-dev
  need_library zlib zlib1g-dev
  # The engine library is an npm package.
  need_command node nodejs
  need_command npm npm
  # The README's tour.
  need_command curl curl
}

need_check() {
  check_rust_linters
  need_command git git
  need_command shellcheck shellcheck
  # Docker's own compose plugin does as well.
  docker compose version >/dev/null 2>&1 || need_command docker-compose docker-compose
}

need_registry() {
  need_command java default-jre-headless
  need_command mvn maven
}

need_kafka() {
  need_registry
}

need_s3() {
  need_registry
}

need_python() {
  need_command python3 python3
  # Debian keeps what makes environments in a package of its own.
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
}

need_mlflow() {
  need_python
}

# Mesa's Vulkan drivers: lavapipe computes on the CPU.
need_gpu() {
  check_rust
  check_disk
  need_command cc gcc
  compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null || compgen -G '/etc/vulkan/icd.d/*.json' >/dev/null ||
    missing+=(mesa-vulkan-drivers)
  ldconfig -p | grep -F 'libvulkan.so.1' >/dev/null || missing+=(libvulkan1)
}

(($#)) || set -- build
for group in "$@"; do
  case "$group" in
    build | check | registry | kafka | s3 | python | mlflow | gpu) "need_$group" ;;
    *) fail "setup.sh: unknown group \`$group\`: build, check, registry, kafka, s3, python, mlflow and gpu are known" ;;
  esac
done
install_packages "${missing[@]}"

for group in "$@"; do
  case "$group" in
    build)
      version_at_least "$(node --version | tr -d v)" "$node_wanted" ||
        fail "Node $(node --version) is too old, $node_wanted or newer is needed."
      scripts/fetch-engine.sh >&2
      ;;
    check) scripts/cargo-deny.sh --version >/dev/null ;;
    registry) scripts/registry-fetch.sh >/dev/null ;;
    kafka) scripts/kafka-fetch.sh >/dev/null ;;
    mlflow) scripts/mlflow-fetch.sh >/dev/null ;;
    s3) scripts/s3-fetch.sh >/dev/null ;;
  esac
done
