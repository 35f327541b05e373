#!/usr/bin/env bash
# Runs one real Kafka broker (KRaft: broker and controller in one process) in the foreground, for tests, on loopback only.
#
#   scripts/kafka-server.sh DIR PORT CONTROLLER_PORT [PORT:ADVERTISED]…
#
# Each PORT:ADVERTISED is one more listener, whose clients are told the port ADVERTISED: that of a proxy before it.
# DIR is created and formatted on first use; started again on the same DIR, the broker finds what it had. Its log is
# DIR/server.log. The shell replaces itself: this process id is the broker's, SIGTERM stops it cleanly, SIGKILL is a crash.
# DRIFTMILL_KAFKA_HOME names the folder printed by scripts/kafka-fetch.sh (asked if unset).
set -euo pipefail
(($# >= 3)) || {
  echo "usage: kafka-server.sh DIR PORT CONTROLLER_PORT [PORT:ADVERTISED]…" >&2
  exit 2
}
port="$2"
controller_port="$3"
mkdir -p "$1"
dir="$(cd "$1" && pwd)"
more_listeners="" more_advertised="" more_protocols=""
for detour in "${@:4}"; do
  name="DETOUR_${detour%%:*}"
  more_listeners+=",$name://127.0.0.1:${detour%%:*}"
  more_advertised+=",$name://127.0.0.1:${detour##*:}"
  more_protocols+=",$name:PLAINTEXT"
done
home="${DRIFTMILL_KAFKA_HOME:-$("$(dirname "${BASH_SOURCE[0]}")/kafka-fetch.sh")}"
[[ -d "$home/lib" ]] || {
  echo "kafka-server.sh: no jars in $home/lib: run scripts/kafka-fetch.sh" >&2
  exit 1
}

# Written at every start: the ports may have changed, the data has not.
cat >"$dir/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port$more_listeners
advertised.listeners=PLAINTEXT://127.0.0.1:$port$more_advertised
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT$more_protocols
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data

# A topic that nobody created is a fault, as it is in production.
auto.create.topics.enable=false
message.max.bytes=16777216
replica.fetch.max.bytes=16777216

# One node: its internal topics have one replica, and few partitions so that it starts fast.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0

# After a crash the controller waits this long before it lets the same broker in again.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# A small machine, a small heap.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
EOF

cat >"$dir/log4j2.properties" <<EOF
appender.file.type = File
appender.file.name = file
appender.file.fileName = $dir/server.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601} %p %m (%c)%n%throwable
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
EOF

# Brokers of tests live for seconds: the quick compiler alone starts them a third faster. Native libraries are unpacked
# where they go away with the data.
mkdir -p "$dir/tmp"
java=(java -Djava.io.tmpdir="$dir/tmp" -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError
  -Dlog4j2.configurationFile="$dir/log4j2.properties" -Dlog4j2.disableJmx=true -cp "$home/lib/*")

if [[ ! -f "$dir/data/meta.properties" ]]; then
  cluster="$("${java[@]}" kafka.tools.StorageTool random-uuid)"
  "${java[@]}" kafka.tools.StorageTool format --cluster-id "$cluster" --config "$dir/server.properties" >&2
fi
exec "${java[@]}" kafka.Kafka "$dir/server.properties"
