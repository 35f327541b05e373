#!/usr/bin/env bash
# Runs one real S3 server in the foreground, for tests, on loopback only, for whoever has the key.
#
#   AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… scripts/s3-server.sh DIR PORT
#
# A bucket is a folder of DIR/buckets. Started again on the same DIR, it finds what it had. Its log is its standard error.
# The shell replaces itself: this process id is the server's. DRIFTMILL_TEST_S3_HOME names the folder printed by
# scripts/s3-fetch.sh (asked if unset).
set -euo pipefail
(($# == 2)) || {
  echo "usage: s3-server.sh DIR PORT" >&2
  exit 2
}
port="$2"
home="${DRIFTMILL_TEST_S3_HOME:-$("$(dirname "${BASH_SOURCE[0]}")/s3-fetch.sh")}"
[[ -d "$home/lib" ]] || {
  echo "s3-server.sh: no jars in $home/lib: run scripts/s3-fetch.sh" >&2
  exit 1
}
[[ -n "${AWS_ACCESS_KEY_ID:-}" && -n "${AWS_SECRET_ACCESS_KEY:-}" ]] || {
  echo "s3-server.sh: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say who may ask it" >&2
  exit 2
}
# Whoever started this may take the end of its standard output for its own: that stays open, and the log goes elsewhere.
exec 3>&1
mkdir -p "$1"
dir="$(cd "$1" && pwd)"
mkdir -p "$dir/buckets" "$dir/tmp"

# The secret is in a file of ours and on no command line.
umask 077
cat >"$dir/s3proxy.conf" <<CONF
s3proxy.endpoint=http://127.0.0.1:$port
s3proxy.authorization=aws-v4
s3proxy.identity=$AWS_ACCESS_KEY_ID
s3proxy.credential=$AWS_SECRET_ACCESS_KEY
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=$dir/buckets
CONF
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
cat >"$dir/logback.xml" <<'CONF'
<configuration>
  <appender name="STDERR" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%date %level %msg%n</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="STDERR"/></root>
</configuration>
CONF

# Servers of tests live for seconds: the quick compiler alone starts them a third faster.
exec java -Dlogback.configurationFile="$dir/logback.xml" -Djava.io.tmpdir="$dir/tmp" -Xmx256m -XX:+UseSerialGC \
  -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError -cp "$home/lib/*" org.gaul.s3proxy.Main --properties "$dir/s3proxy.conf" >&2
