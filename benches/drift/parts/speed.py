"""Speed and memory: values a second, a table against a table, bytes a pane."""

import numpy as np

from .asking import OURS, Numbers, told

FEATURES = 20
KINDS = ["normal", "lognormal", "uniform with atoms", "integers"]
# Of Evidently's minutes a run, one will do; whylogs takes half of one.
ONE_RUN = {"evidently", "whylogs"}


def draw(kind, rows, rng, shift=0.0):
    if kind == "normal":
        return rng.normal(shift, 1, rows)
    if kind == "lognormal":
        return np.exp(rng.normal(shift, 1, rows))
    if kind == "integers":
        return rng.integers(0, 100, rows) + np.floor(rng.random(rows) + shift)
    values = rng.random(rows) + shift
    # Three of ten values are one of two.
    heavy = rng.random(rows)
    return np.where(heavy < 0.2, 0.5, np.where(heavy < 0.3, 0.25, values))


def run(asked, peers):
    return {"update": update(asked, peers), "contest": contests(asked, peers), "memory": memory(asked, peers)}


def update(asked, peers):
    rng, numbers = np.random.default_rng(1), Numbers(asked.work / "update.f64")
    columns = [numbers.column(draw(kind, 100_000, rng), draw(kind, asked.update_rows, rng)) for kind in KINDS]
    question = {"file": numbers.write(), "columns": columns}
    found = {}
    for name, library, more in [
        ("driftmill profile", OURS, {}),
        ("NannyML Kolmogorov-Smirnov", "nannyml", {}),
        ("NannyML Jensen-Shannon", "nannyml", {"method": "jensen_shannon"}),
        ("whylogs profile", "whylogs", {}),
        ("River ADWIN", "river", {"method": "ADWIN", "limit": 300_000}),
        ("River Page-Hinkley", "river", {"method": "Page-Hinkley", "limit": 300_000}),
        ("River KSWIN", "river", {"method": "KSWIN", "limit": 3_000}),
    ]:
        told(f"update: {name}")
        _, found[name] = peers.median(library, "update", {**question, **more}, "values_per_s", asked.repetitions)
    return found


def contests(asked, peers):
    return [contest(asked, peers, int(size)) for size in asked.sizes.split(",") if size]


def contest(asked, peers, rows):
    rng, numbers = np.random.default_rng(2), Numbers(asked.work / "contest.f64")
    columns = [
        numbers.column(draw(KINDS[i % 4], rows, rng), draw(KINDS[i % 4], rows, rng, 0.05 * (i % 2))) for i in range(FEATURES)
    ]
    question = {"file": numbers.write(), "columns": columns}
    found = []
    for name, library, more in [
        ("driftmill", OURS, {}),
        ("NannyML Kolmogorov-Smirnov", "nannyml", {}),
        ("SciPy ks_2samp", "scipy", {}),
        ("whylogs", "whylogs", {}),
        ("Evidently DataDriftPreset", "evidently", {}),
    ]:
        told(f"{rows} × {FEATURES} against {rows} × {FEATURES}: {name}")
        repetitions = 1 if library in ONE_RUN and rows >= 100_000 else asked.repetitions
        runs, live = peers.median(library, "contest", {**question, **more}, "live_cpu_s", repetitions)
        reference = sorted(run["reference_cpu_s"] or 0 for run in runs)[len(runs) // 2]
        found.append({"name": name, "live_cpu_s": live, "reference_cpu_s": reference or None, "runs": runs})
    (asked.work / "contest.f64").unlink()
    exact = next(f["runs"][0]["scores"] for f in found if f["name"].startswith("SciPy"))
    for entry in found:
        scores = entry["runs"][0]["scores"]
        if entry["name"] not in ("Evidently DataDriftPreset",) and None not in scores:
            entry["largest_error_of_d"] = max(abs(a - b) for a, b in zip(scores, exact))
        for run in entry["runs"]:
            run.pop("scores")
    return {"rows": rows, "libraries": found}


def memory(asked, peers):
    rng, numbers = np.random.default_rng(3), Numbers(asked.work / "memory.f64")
    columns = [numbers.column(draw("normal", 100_000, rng), draw("normal", 20_480, rng)) for _ in range(FEATURES)]
    question = {"file": numbers.write(), "columns": columns}
    return {"driftmill": peers.ask(OURS, "memory", question), "whylogs": peers.ask("whylogs", "memory", question)}


def table(found):
    ours = found["update"]["driftmill profile"]
    lines = ["## Speed", "", "Million values a second and core; below, how many times as many ours counts.", ""]
    lines += [f"| | {' | '.join(KINDS)} |", "|---|" + "---:|" * len(KINDS)]
    for name, values in found["update"].items():
        cells = [f"{v / 1e6:.1f}" if v > 1e5 else f"{v / 1e6:.4f}" for v in values]
        if name != "driftmill profile":
            cells = [f"{cell} ({mine / v:,.0f} ×)" for cell, v, mine in zip(cells, values, ours)]
        lines.append(f"| {'**' + name + '**' if name.startswith('driftmill') else name} | {' | '.join(cells)} |")
    for contest in found["contest"]:
        rows = contest["rows"]
        lines += ["", f"{rows:,} × {FEATURES} against {rows:,} × {FEATURES}, CPU seconds.", ""]
        lines += ["| | reference | live profile and verdict | ours takes of it | largest error of D |", "|---|---:|---:|---:|---:|"]
        mine = contest["libraries"][0]["live_cpu_s"]
        for entry in contest["libraries"]:
            reference = f"{entry['reference_cpu_s']:.2f}" if entry["reference_cpu_s"] else "in the other"
            error = f"{entry['largest_error_of_d']:.1e}" if "largest_error_of_d" in entry else "no D"
            first = entry is contest["libraries"][0]
            ratio = "" if first else f"{mine / entry['live_cpu_s']:.3f}"
            name = f"**{entry['name']}**" if first else entry["name"]
            lines.append(f"| {name} | {reference} | {entry['live_cpu_s']:.3f} | {ratio} | {error} |")
    held = found["memory"]
    lines += ["", "Memory of a feature and pane (normal values, 4,096 rows), KiB.", "", "| | held | stored |", "|---|---:|---:|"]
    lines += [
        f"| {'**driftmill**' if name == 'driftmill' else name} | {m['held_bytes'] / 1024:.1f} | {m['stored_bytes'] / 1024:.1f} |"
        for name, m in held.items()
    ]
    return lines
