#!/usr/bin/env bash
# Fetches the jars of the real Apache Kafka named in tests/kafka/pom.xml by the Maven client, into
# <cache>/driftmill/kafka/<version>/lib. Prints that <version> folder (DRIFTMILL_KAFKA_HOME); a second run does nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

pom=tests/kafka/pom.xml
java_wanted=17
version="$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$pom")"
home="$cache/kafka/$version"

# The pom is kept beside the jars: jars of another pom are not these.
if cmp -s "$pom" "$home/pom.xml"; then
  echo "$home"
  exit 0
fi

java_version="$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)"
[[ -n "$java_version" ]] || fail "Java is not installed: run \`scripts/setup.sh kafka\`."
((java_version >= java_wanted)) || fail "Java $java_version is too old, Apache Kafka $version needs $java_wanted or newer."

step "Fetching Apache Kafka $version (about 45 MB) with Maven"
mkdir -p "$cache/kafka"
# Staged beside its target, so that the last step is a rename: nobody ever sees half a broker.
staging="$(mktemp -d "$cache/kafka/.fetch-XXXXXX")"
trap 'rm -rf "$staging"' EXIT
trap 'exit 130' INT TERM
flags=(--strict-checksums)
[[ -t 2 ]] || flags+=(--batch-mode --quiet -Dstyle.color=never)
mvn "${flags[@]}" --file "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$staging/lib" >&2
[[ -f "$staging/lib/kafka_2.13-$version.jar" ]] || fail "Maven reported success but left no broker in $staging/lib."
cp "$pom" "$staging/pom.xml"
chmod 755 "$staging"
rm -rf "$home"
mv -T "$staging" "$home"
echo "$home"
