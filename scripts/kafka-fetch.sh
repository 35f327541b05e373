#!/usr/bin/env bash
# Fetches the jars of the real Apache Kafka named in tests/kafka/pom.xml by the Maven client, into
# <cache>/driftmill/kafka/<version>/lib. Prints that <version> folder (DRIFTMILL_KAFKA_HOME); a second run does nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

pom=tests/kafka/pom.xml
version="$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$pom")"
home="$cache/kafka/$version"
fetch_with_maven "$pom" "$home" 17 "Apache Kafka $version (about 45 MB)" "lib/kafka_2.13-$version.jar" \
  dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=DIR/lib
echo "$home"
