#!/usr/bin/env bash
# Runs one real schema registry in the foreground, for tests, on loopback only. Its Confluent API is at /apis/ccompat/v7.
#
#   scripts/registry-server.sh DIR PORT
#
# Started again on the same DIR, it finds what it had. Its log is its standard error. The shell replaces itself: this process
# id is the registry's. DRIFTMILL_TEST_REGISTRY_HOME names the folder printed by scripts/registry-fetch.sh (asked if unset).
set -euo pipefail
(($# == 2)) || {
  echo "usage: registry-server.sh DIR PORT" >&2
  exit 2
}
home="${DRIFTMILL_TEST_REGISTRY_HOME:-$("$(dirname "${BASH_SOURCE[0]}")/registry-fetch.sh")}"
jar="$(find "$home" -maxdepth 1 -name '*-runner.jar' | head -n 1)"
[[ -n "$jar" ]] || {
  echo "registry-server.sh: no registry in $home: run scripts/registry-fetch.sh" >&2
  exit 1
}
# Whoever started this may take the end of its standard output for its own: that stays open, and the log goes elsewhere.
exec 3>&1
# What it unpacks and leaves behind goes away with its data.
mkdir -p "$1/tmp"
cd "$1"
exec java -Djava.io.tmpdir="$PWD/tmp" -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError \
  -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$2" -Dquarkus.datasource.jdbc.url="jdbc:h2:file:$PWD/registry" \
  -jar "$jar" >&2
