#!/usr/bin/env bash
# Fetches the jars of the S3 server named in tests/s3/pom.xml by the Maven client, into <cache>/driftmill/s3/<version>/lib.
# Prints that <version> folder (DRIFTMILL_TEST_S3_HOME); a second run does nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

pom=tests/s3/pom.xml
version="$(sed -n 's:.*<s3proxy.version>\(.*\)</s3proxy.version>.*:\1:p' "$pom")"
home="$cache/s3/$version"
fetch_with_maven "$pom" "$home" 17 "S3Proxy $version (about 95 MB)" "lib/s3proxy-$version.jar" \
  dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=DIR/lib
echo "$home"
