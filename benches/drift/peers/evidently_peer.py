"""Evidently: the preset of data drift, by its defaults or with a method that the question names."""

import common
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

# Above these a distance means drift, below them a p-value does.
DISTANCES = ("distance", "PSI", "divergence")


def frame(question, columns, side, category=False):
    values = {f"x{i}": question.numbers(c[side]) for i, c in enumerate(columns)}
    table = pd.DataFrame(values)
    return table.map(lambda code: "abcdefghij"[int(code)]) if category else table


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
        distance = any(word in config["method"] for word in DISTANCES)
        drift = score >= config["threshold"] if distance else score < config["threshold"]
        found.append({"score" if distance else "p": score, "drift": bool(drift), "method": config["method"]})
    return found


def contest(question):
    reference, live = (frame(question, question["columns"], side) for side in ("reference", "live"))
    found, cpu = common.timed(lambda: report(reference, live))
    return {"reference_cpu_s": None, "live_cpu_s": cpu, "scores": [f.get("score") for f in found]}


def judge(question):
    def window(w):
        category = w.get("category", False)
        reference, live = (frame(question, w["columns"], side, category) for side in ("reference", "live"))
        work = lambda: report(reference, live, category, question.get("method"))  # noqa: E731
        return common.attempt(work, len(w["columns"]))

    return {"windows": [window(w) for w in question["windows"]]}


if __name__ == "__main__":
    common.answer("evidently", {"contest": contest, "judge": judge})
