#!/usr/bin/env bash
# Runs the ingestion benchmark with the settings of the environment; `make bench-ingest` builds first and calls this.
#
#   benches/ingest/run.sh BENCH_INGEST DRIFTMILL
#
# BENCH_INGEST and DRIFTMILL are the two built programs. Settings: QUICK, ONLY, RECORDS, PARTITIONS, REPETITIONS, PROFILE, OUT
# (see README.md beside this file).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
(($# == 2)) || {
  echo "usage: run.sh BENCH_INGEST DRIFTMILL" >&2
  exit 2
}

arguments=(run --bin "$2" --out "${OUT:-target/bench-ingest}")
[[ -z "${QUICK:-}" ]] || arguments+=(--records 400000 --repetitions 1 --latency-seconds 5 --peer-seconds 10)
[[ -z "${ONLY:-}" ]] || arguments+=(--only "$ONLY")
[[ -z "${RECORDS:-}" ]] || arguments+=(--records "$RECORDS")
[[ -z "${PARTITIONS:-}" ]] || arguments+=(--partitions "$PARTITIONS")
[[ -z "${REPETITIONS:-}" ]] || arguments+=(--repetitions "$REPETITIONS")
[[ -z "${PROFILE:-}" ]] || arguments+=(--profile)

if [[ -z "${ONLY:-}" || "$ONLY" == *peers* ]]; then
  arguments+=(--peers "$(benches/ingest/peers/build.sh)")
fi
DRIFTMILL_KAFKA_HOME="$(scripts/kafka-fetch.sh)"
export DRIFTMILL_KAFKA_HOME
exec "$1" "${arguments[@]}"
