#!/usr/bin/env bash
# Runs the benchmark of drift; `make bench-drift` builds first and calls this.
#
#   benches/drift/run.sh BENCH_DRIFT
#
# Settings of the environment: ONLY, SIZES, SEEDS, PAIRS, REPETITIONS, OUT (see README.md beside this file).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
(($# == 1)) || {
  echo "usage: run.sh BENCH_DRIFT" >&2
  exit 2
}

folder=benches/drift/peers
environment="$(python_env bench/drift "$folder/requirements.txt" "SciPy and Matplotlib")"
arguments=(--bin "$1")
# An environment each: their requirements contradict each other.
for peer in evidently nannyml whylogs river alibi-detect; do
  python="$(python_env "bench/drift-$peer" "$folder/requirements-$peer.txt" "$peer")/bin/python"
  arguments+=(--python "$peer=$python")
done
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
arguments+=(--work "$work/numbers" --out "${OUT:-target/bench-drift}")
for setting in only sizes seeds pairs repetitions; do
  name="${setting^^}"
  [[ -z "${!name:-}" ]] || arguments+=("--$setting" "${!name}")
done
# No byte code beside tracked files.
export PYTHONDONTWRITEBYTECODE=1
"$environment/bin/python" benches/drift/bench.py "${arguments[@]}"
