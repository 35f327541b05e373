"""Our drift library and its peers, asked the same things in the same run. See README.md."""

import argparse
import json
import pathlib
import platform
import resource
import time

from parts import agreement, alarms, cases, detectors, speed
from parts.asking import Peers, told

PARTS = {"speed": speed, "agreement": agreement, "cases": cases, "alarms": alarms, "detectors": detectors}


def processor():
    with open("/proc/cpuinfo") as file:
        return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))


def processor_seconds():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def environment(text):
    name, _, python = text.partition("=")
    return name, python


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="the built bench-drift")
    parser.add_argument("--python", type=environment, action="append", default=[], metavar="PEER=PYTHON")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for the numbers, several hundred MB")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the results")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by comma")
    parser.add_argument("--sizes", default="1000000", help="rows of a table against a table")
    parser.add_argument("--update-rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=1_000, help="runs of everything that is a rate")
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    peers = Peers(asked.bin, dict(asked.python))
    file = asked.out / "results.json"
    names = asked.only.split(",")
    # Parts that are not run anew keep what they had.
    kept = file.is_file() and set(names) != set(PARTS)
    results = json.loads(file.read_text()) if kept else {}
    for name in names:
        started, before = time.monotonic(), processor_seconds()
        results[name] = PARTS[name].run(asked, peers)
        told(f"{name}: {time.monotonic() - started:.0f} s, {processor_seconds() - before:.0f} of CPU")
        versions = {**results.get("versions", {}), **peers.versions}
        results |= {"machine": platform.platform(), "processor": processor(), "versions": dict(sorted(versions.items()))}
        file.write_text(json.dumps(results, indent=1) + "\n")
        (asked.out / "results.md").write_text("\n".join(report(results, asked)) + "\n")
    print((asked.out / "results.md").read_text())


def report(results, asked):
    told_versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = ["# Drift beside the field's tools", "", f"{results['processor']}. {told_versions}. Medians of {asked.repetitions} runs, in the same run"]
    lines += ["for all. Made by `make bench-drift`; ../README.md tells how."]
    for name, part in PARTS.items():
        if name in results:
            lines += ["", *part.table(results[name])]
    return lines


if __name__ == "__main__":
    main()
