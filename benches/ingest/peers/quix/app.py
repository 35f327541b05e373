"""The benchmark's pipeline in Quix Streams: ../../pipeline/pipeline.yaml, expression by expression.

At least once: the sink is flushed, then offsets are committed, at every checkpoint. A checkpoint comes after 50,000 records
or BENCH_FLUSH_MS. Rows are inserted by clickhouse-connect, in columns (Native), one batch of one partition an insert.
"""

import io
import json
import math
import os

import clickhouse_connect
import fastavro
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

FRAME = 10
COLUMNS = [
    "event_time", "entity", "label", "_quarantined", "temperature", "pressure", "humidity", "flow", "flow_per_pressure",
    "vibration", "amperes", "imbalance", "power", "efficiency", "load", "overloaded", "noise_level", "oil", "cycles",
    "experience", "error_rate", "hour", "weekday", "heat",
]
SITES = frozenset(["north", "south", "east", "west", "harbour"])

with open(os.environ["BENCH_SCHEMA"], encoding="utf-8") as file:
    SCHEMA = json.load(file)
# A time of day is wanted as a number below: the logical type would make a datetime of each.
for field in SCHEMA["fields"]:
    if isinstance(field["type"], dict):
        field["type"] = field["type"]["type"]
SCHEMA = fastavro.parse_schema(SCHEMA)


def decode(framed):
    return fastavro.schemaless_reader(io.BytesIO(framed[FRAME:]), SCHEMA)


def is_good(r):
    return (
        -60 <= r["temperature"] <= 200
        and 0 <= r["pressure"] <= 1000
        and 0 <= r["load"] <= 1.5
        and r["site"] in SITES
    )


def features(r):
    at, pressure, flow, cycles = r["at"], r["pressure"], r["flow"], r["cycles"]
    a, b, c, voltage = r["current_a"], r["current_b"], r["current_c"], r["voltage"]
    x, y, z = r["vibration_x"], r["vibration_y"], r["vibration_z"]
    amperes = a + b + c
    watts = voltage * amperes
    temperature, humidity, load = r["temperature"], r["humidity"], r["load"]
    return (
        at,
        r["machine"],
        r["state"],
        0,
        temperature,
        pressure,
        50.0 if humidity is None else humidity,
        flow,
        flow / pressure if flow is not None and pressure != 0 else None,
        math.sqrt(x * x + y * y + z * z),
        amperes,
        max(a, b, c) - min(a, b, c),
        watts / 1000,
        r["torque"] * r["speed"] / watts if watts != 0 else None,
        load,
        1.0 if load > 0.9 else 0.0,
        math.log10(r["noise"]),
        math.floor(r["oil"] * 10 + 0.5) / 10,
        float(cycles),
        math.log(r["runtime"] + 1),
        r["errors"] / cycles if cycles != 0 else None,
        float(at // 3_600_000 % 24),
        float((at // 86_400_000 + 4) % 7),
        temperature - 80 if temperature > 80 else 0.0,
    )


class ClickHouse(BatchingSink):
    """Inserts each partition's batch in columns."""

    def setup(self):
        host, port = os.environ["BENCH_CLICKHOUSE_URL"].removeprefix("http://").split(":")
        self.client = clickhouse_connect.get_client(
            host=host,
            port=int(port),
            username=os.environ["BENCH_CLICKHOUSE_USER"],
            password=os.environ["BENCH_CLICKHOUSE_PASSWORD"],
            database=os.environ["BENCH_CLICKHOUSE_DATABASE"],
            compress=False,
            settings={"async_insert": 0},
        )
        self.types = {}

    def write(self, batch: SinkBatch):
        items = list(batch)
        columns = [list(column) for column in zip(*(item.value for item in items))]
        # DateTime64 as its integer: the driver would otherwise want datetimes.
        self.client.insert(
            os.environ["BENCH_TABLE"],
            [[batch.partition] * len(items), [item.offset for item in items], *columns],
            column_names=["_partition", "_offset", *COLUMNS],
            column_oriented=True,
        )


def main():
    app = Application(
        broker_address=os.environ["BENCH_BROKERS"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once",
        commit_every=50_000,
        commit_interval=int(os.environ["BENCH_FLUSH_MS"]) / 1000,
        loglevel="WARNING",
        consumer_extra_config={"fetch.queue.backoff.ms": 20},
    )
    topic = app.topic(os.environ["BENCH_TOPIC"], value_deserializer="bytes", key_deserializer="bytes")
    rejected = app.topic(os.environ["BENCH_REJECTED"], value_serializer="json", key_serializer="bytes")
    records = app.dataframe(topic).apply(decode)
    records.filter(lambda record: not is_good(record)).to_topic(rejected)
    records.filter(is_good).apply(features).sink(ClickHouse())
    app.run()


if __name__ == "__main__":
    main()
