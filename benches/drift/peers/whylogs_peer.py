"""whylogs: mergeable profiles of KLL sketches, compared by its own drift scores."""

import common
import numpy as np
import pandas as pd
import whylogs
from whylogs.viz.drift.column_drift_algorithms import KS, ChiSquare

# Panes held at the same time when memory is weighed.
PANES = 5
ROUNDS = 5
ROWS = 4096


def frame(question, columns, side, category=False):
    table = pd.DataFrame({f"x{i}": question.numbers(c[side]) for i, c in enumerate(columns)})
    return table.map(common.category) if category else table


def profile(table):
    return whylogs.log(pandas=table).view()


def answers(live, reference, names, category=False):
    algorithm = (ChiSquare if category else KS)()
    found = []
    for name in names:
        told = algorithm.calculate(live.get_column(name), reference.get_column(name), with_thresholds=True)
        if told is None:
            found.append({"says": "no answer", "drift": False})
            continue
        told = told.to_dict()
        found.append({"p": told["pvalue"], "score": told.get("statistic"), "drift": bool(told["pvalue"] < 0.05)})
    return found


def contest(question):
    columns = question["columns"]
    reference, live = (frame(question, columns, side) for side in ("reference", "live"))
    before, reference_s = common.timed(lambda: profile(reference))
    found, live_s = common.timed(lambda: answers(profile(live), before, list(live.columns)))
    return {"reference_cpu_s": reference_s, "live_cpu_s": live_s, "scores": [f.get("score") for f in found]}


def update(question):
    found = []
    for column in question["columns"]:
        live = frame(question, [column], "live")
        found.append(len(live) / common.timed(lambda: profile(live))[1])
    return {"values_per_s": found}


def memory(question):
    """As resident memory tells, and as serialised."""
    table = frame(question, question["columns"], "live")

    def panes():
        return [profile(table.iloc[index * ROWS:(index + 1) * ROWS]) for index in range(PANES)]

    # Those before fill what the process has free already.
    earlier = [panes() for _ in range(ROUNDS)]
    before = resident()
    later = [panes() for _ in range(ROUNDS)]
    held = (resident() - before) / (ROUNDS * PANES * table.shape[1])
    del earlier
    stored = len(later[0][0].serialize()) / table.shape[1]
    return {"held_bytes": held, "stored_bytes": stored}


def resident():
    with open("/proc/self/status") as file:
        return next(float(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1024


def judge(question):
    def window(w):
        category = w.get("category", False)
        reference, live = (frame(question, w["columns"], side, category) for side in ("reference", "live"))
        work = lambda: answers(profile(live), profile(reference), list(live.columns), category)  # noqa: E731
        return common.attempt(work, len(w["columns"]))

    return {"windows": [window(w) for w in question["windows"]]}


if __name__ == "__main__":
    np.seterr(all="ignore")
    common.answer("whylogs", {"contest": contest, "update": update, "memory": memory, "judge": judge})
