"""Asks ours and the peers the same question, each in a process of its own: the numbers lie in one file."""

import json
import os
import pathlib
import statistics
import subprocess
import sys

import numpy as np

PEERS = pathlib.Path(__file__).resolve().parent.parent / "peers"
OURS = "driftmill"
# Nobody's statistics of use are part of a measurement.
QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}


class Numbers:
    """Arrays in one file of little-endian f64; `add` answers the slice: first value and number of values."""

    def __init__(self, file):
        self.file, self.arrays, self.count = file, [], 0

    def add(self, values):
        values = np.asarray(values, dtype="<f8")
        at = (self.count, len(values))
        self.arrays.append(values)
        self.count += len(values)
        return at

    def column(self, reference, live):
        return {"reference": self.add(reference), "live": self.add(live)}

    def write(self):
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "wb") as file:
            for array in self.arrays:
                array.tofile(file)
        self.arrays = []
        return str(self.file)


class Peers:
    """The programs by name, and the versions they told."""

    def __init__(self, program, environments):
        self.program, self.environments, self.versions = program, environments, {}

    def ask(self, library, task, question):
        name = library.replace("-", "_")
        python = self.environments.get(library, sys.executable)
        command = [self.program] if library == OURS else [python, str(PEERS / f"{name}_peer.py")]
        environment = {**os.environ, **QUIET}
        done = subprocess.run(
            [*command, task], input=json.dumps(question), capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise SystemExit(f"{library} {task}: {done.stderr[-2000:]}")
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        if "version" in answer:
            self.versions[library] = answer.pop("version")
        return answer

    def median(self, library, task, question, key, repetitions):
        """Every run, and the median of `key`, which may be a list."""
        runs = [self.ask(library, task, question) for _ in range(repetitions)]
        values = [run[key] for run in runs]
        if isinstance(values[0], list):
            return runs, [statistics.median(column) for column in zip(*values)]
        return runs, statistics.median(values) if values[0] is not None else None


def told(text):
    """Progress goes to standard error."""
    print(text, file=sys.stderr, flush=True)
