#!/usr/bin/env bash
# Fetches the schema registry named in tests/registry/pom.xml by the Maven client, into <cache>/driftmill/registry/<version>.
# Prints that folder (DRIFTMILL_TEST_REGISTRY_HOME); a second run does nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

pom=tests/registry/pom.xml
version="$(sed -n 's:.*<registry.version>\(.*\)</registry.version>.*:\1:p' "$pom")"
home="$cache/registry/$version"
fetch_with_maven "$pom" "$home" 17 "Apicurio Registry $version (about 140 MB)" \
  "apicurio-registry-app-$version-runner.jar" dependency:unpack-dependencies -DoutputDirectory=DIR
echo "$home"
