"""Evidently: the preset of data drift, by its defaults or with a method that the question names."""

import common
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

# Above these a distance means drift, below others a p-value does.
DISTANCES = ("distance", "psi", "divergence")


def frame(question, columns, side, category=False):
    values = {f"x{i}": question.numbers(c[side]) for i, c in enumerate(columns)}
    table = pd.DataFrame(values)
    return table.map(common.category) if category else table


def report(reference, live, category=False, method=None):
    names = list(reference.columns)
    kind = {"categorical_columns": names} if category else {"numerical_columns": names}
    definition = DataDefinition(**kind)
    preset = DataDriftPreset(**({"method": method} if method else {}))
    done = Report([preset]).run(Dataset.from_pandas(live, definition), Dataset.from_pandas(reference, definition))
    drifts = [m for m in done.dict()["metrics"] if m["metric_name"].startswith("ValueDrift")]
    found = []
    for metric in drifts:
        score, config = float(metric["value"]), metric["config"]
        distance = any(word in config["method"].lower() for word in DISTANCES)
        drift = score >= config["threshold"] if distance else score < config["threshold"]
        found.append({"score" if distance else "p": score, "drift": bool(drift), "method": config["method"]})
    return found


def tests(reference, live, method=None):
    """The tests of the preset by themselves, with its defaults: it also draws a plot of every column, which takes longer."""
    found = []
    for name in reference.columns:
        test = get_stattest(reference[name], live[name], ColumnType.Numerical, method)
        told = test(reference[name], live[name], ColumnType.Numerical, None)
        found.append({"score": float(told.drift_score), "drift": bool(told.drifted)})
    return found


def contest(question):
    reference, live = (frame(question, question["columns"], side) for side in ("reference", "live"))
    found, cpu = common.timed(lambda: report(reference, live))
    return {"reference_cpu_s": None, "live_cpu_s": cpu, "scores": [f.get("score") for f in found]}


def judge(question):
    def window(w):
        category = w.get("category", False)
        reference, live = (frame(question, w["columns"], side, category) for side in ("reference", "live"))
        method = question.get("method")

        def work():
            return tests(reference, live, method) if question.get("bare") else report(reference, live, category, method)

        return common.attempt(work, len(w["columns"]))

    return {"windows": [window(w) for w in question["windows"]]}


if __name__ == "__main__":
    common.answer("evidently", {"contest": contest, "judge": judge})
