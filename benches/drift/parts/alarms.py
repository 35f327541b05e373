"""False alarms: what is said where nothing drifted."""

import math

import numpy as np
from scipy.signal import lfilter

from .asking import OURS, Numbers, told

ALPHA = 0.05
FEATURES = 20
# One window is enough for a verdict, and small ones are judged.
AT_ONCE = {"confirm_windows": 1, "of_windows": 1, "min_rows": 50, "alpha": ALPHA}
# Rows of reference and window, and what judges them by a p-value that is exact or asymptotic.
FAMILIES = [(2_000, 400), (8_000, 1_300)]
CHUNK = 100
# Seeds of the peers that take long for each, and of NannyML, which compares every chunk of the reference.
FEW, FEWER = 60, 40
WINDOWS = [50, 100, 200]
COLUMNS, NANNYML_COLUMNS = 200, 60
SKETCHED = 60
# Streams whose rows resemble their neighbours, a row a minute: rows of the reference (of the sine a week) and of the window.
DAY, WEEK, PHI = 1_440, 10_080, 0.8
SINE = "daily sine, 1σ"
NEIGHBOURS = {f"AR(1), φ = {PHI}": (5_000, 500), SINE: (WEEK, 500)}
NEIGHBOURS_FEATURES, NEIGHBOURS_SEEDS, SHIFTED_SEEDS = 5, 300, 100


def run(asked, peers):
    few = min(FEW, asked.seeds)
    return {
        "families": [family(asked, peers, *sizes, few) for sizes in FAMILIES],
        "windows": [windows(asked, peers, rows) for rows in WINDOWS],
        "psi": [psi(asked, peers, *sizes) for sizes in [(200, 200), (5_000, 200), (5_000, 1_000)]],
        "large": large(asked, peers),
        "neighbours": [neighbours(asked, peers, kind, *sizes) for kind, sizes in NEIGHBOURS.items()],
    }


def rate(flags):
    """How many of how many."""
    flags = list(flags)
    return {"alarms": int(sum(flags)), "runs": len(flags)}


def moved(answer):
    return answer["verdict"] in ("warning", "drifted")


def family(asked, peers, reference, live, few):
    told(f"alarms: {asked.seeds} runs of {FEATURES} columns, {reference} against {live} rows")
    names = ["driftmill, q < α", "driftmill, verdict", "SciPy, any p < α", "SciPy, Benjamini-Hochberg"]
    slow = {"NannyML": "nannyml", "whylogs": "whylogs", "Evidently": "evidently"}
    flags = {name: [] for name in [*names, *slow]}
    for start in range(0, asked.seeds, CHUNK):
        numbers, all_windows = Numbers(asked.work / "family.f64"), []
        for seed in range(start, min(start + CHUNK, asked.seeds)):
            rng = np.random.default_rng([7, reference, seed])
            columns = [numbers.column(rng.normal(size=reference), rng.normal(size=live)) for _ in range(FEATURES)]
            all_windows.append({"columns": columns, "policy": AT_ONCE})
        question = {"file": numbers.write(), "windows": all_windows, "method": "asymp" if reference * live > 1e7 else "auto"}
        for answer in peers.ask(OURS, "judge", question)["windows"]:
            flags["driftmill, q < α"].append(any(f["q"] < ALPHA for f in answer["features"]))
            flags["driftmill, verdict"].append(moved(answer))
        for answer in peers.ask("scipy", "judge", question)["windows"]:
            p = [f["p"] for f in answer]
            flags["SciPy, any p < α"].append(min(p) < ALPHA)
            flags["SciPy, Benjamini-Hochberg"].append(benjamini_hochberg(p))
        if start < few:
            # All columns in one table: it is the call that costs.
            every = sum((w["columns"] for w in all_windows[:few]), [])
            for name, library in slow.items():
                few_columns = every[:FEWER * FEATURES] if library == "nannyml" else every
                joined = {"file": question["file"], "windows": [{"columns": few_columns}], "bare": True}
                found = [f["drift"] for f in peers.ask(library, "judge", joined)["windows"][0]]
                flags[name] += [any(found[i:i + FEATURES]) for i in range(0, len(found), FEATURES)]
    return {"reference": reference, "live": live, "rates": {name: rate(f) for name, f in flags.items()}}


def ask_columns(peers, numbers, columns, library, **more):
    """One answer a column: ours judges each by itself, the peers take all as one table."""
    if library == OURS:
        policy = AT_ONCE | more.pop("policy", {})
        question = {"file": str(numbers.file), "windows": [{"columns": [c], "policy": policy} for c in columns]}
        return [(answer, answer["features"][0]) for answer in peers.ask(OURS, "judge", question)["windows"]]
    question = {"file": str(numbers.file), "windows": [{"columns": columns}], "bare": True, **more}
    return peers.ask(library, "judge", question)["windows"][0]


def drawn(asked, reference, live, count, seed):
    rng, numbers = np.random.default_rng([seed, reference, live]), Numbers(asked.work / "drawn.f64")
    columns = [numbers.column(rng.normal(size=reference), rng.normal(size=live)) for _ in range(count)]
    numbers.write()
    return numbers, columns


def windows(asked, peers, rows):
    told(f"alarms: windows of {rows}")
    count = min(COLUMNS, asked.seeds)
    numbers, columns = drawn(asked, 5_000, rows, count, 11)
    found = {"driftmill": rate(moved(answer) for answer, _ in ask_columns(peers, numbers, columns, OURS))}
    for name, library in {"Evidently": "evidently", "NannyML": "nannyml", "whylogs": "whylogs", "SciPy": "scipy"}.items():
        asked_columns = columns[:NANNYML_COLUMNS] if library == "nannyml" else columns
        found[name] = rate(f["drift"] for f in ask_columns(peers, numbers, asked_columns, library))
    return {"live": rows, "rates": found}


def psi(asked, peers, reference, live):
    told(f"alarms: PSI of {reference} against {live} rows")
    count = min(COLUMNS, asked.seeds)
    numbers, columns = drawn(asked, reference, live, count, 12)
    ours = ask_columns(peers, numbers, columns, OURS, policy={"psi_threshold": 0.1})
    scores = [f.get("score", math.nan) for f in ask_columns(peers, numbers, columns, "evidently", method="psi")]
    return {"reference": reference, "live": live, "rates": {
        "Evidently PSI > .1": rate(score > 0.1 for score in scores),
        "driftmill PSI > .1": rate(f["psi"] > 0.1 for _, f in ours),
        "driftmill PSI > its noise": rate(f["psi"] > f["psi_noise"] for _, f in ours),
        "driftmill PSI > max(.1, noise)": rate(f["psi"] > f["psi_threshold"] for _, f in ours),
    }}


def large(asked, peers):
    told("alarms: 100,000 rows against 100,000")
    count = min(SKETCHED, asked.seeds)
    numbers, columns = drawn(asked, 100_000, 100_000, count, 13)
    ours = ask_columns(peers, numbers, columns, OURS)
    found = {"driftmill p < .05": rate(f["p"] < ALPHA for _, f in ours), "driftmill verdict": rate(moved(a) for a, _ in ours)}
    for name, library in {"SciPy p < .05": "scipy", "whylogs p < .05": "whylogs"}.items():
        found[name] = rate(f["p"] < ALPHA for f in ask_columns(peers, numbers, columns, library))
    return {"rates": found}


def neighbours(asked, peers, kind, reference, live):
    """Windows without drift, and windows of which one column is shifted by 1σ of its noise."""
    calm = judged(asked, peers, kind, (reference, live), min(NEIGHBOURS_SEEDS, asked.seeds), 0.0)
    shifted = judged(asked, peers, kind, (reference, live), min(SHIFTED_SEEDS, asked.seeds), 1.0)
    level = float(np.median(calm.pop("level")))
    shifted.pop("level")
    return {"kind": kind, "reference": reference, "live": live, "level": level,
            "rates": {name: rate(f) for name, f in calm.items()}, "shifted": {name: rate(f) for name, f in shifted.items()}}


def judged(asked, peers, kind, sizes, seeds, shift):
    told(f"alarms: {seeds} runs of {NEIGHBOURS_FEATURES} columns, {kind}, shift {shift}σ")
    flags, levels = {}, []
    for start in range(0, seeds, CHUNK):
        numbers, all_windows = Numbers(asked.work / "neighbours.f64"), []
        for seed in range(start, min(start + CHUNK, seeds)):
            rng = np.random.default_rng([14, *sizes, seed])
            # The window is of any time of another week.
            minute = WEEK + int(rng.integers(WEEK))
            columns = [
                numbers.column(stream(kind, 0, sizes[0], rng), stream(kind, minute, sizes[1], rng) + shift * (place == 0))
                for place in range(NEIGHBOURS_FEATURES)
            ]
            all_windows.append({"columns": columns, "policy": AT_ONCE, "minute": minute})
        file = numbers.write()

        def ask(library, *keys, file=file, all_windows=all_windows, **more):
            known = ("columns", "policy", *keys)
            windows = [{key: w[key] for key in known if key in w} | more for w in all_windows]
            return peers.ask(library, "judge", {"file": file, "windows": windows})["windows"]

        found = {"plain": ask(OURS), "calibrated": ask(OURS, calibrated=True), "hours": ask(OURS, "minute") if kind == SINE else []}
        levels += [answer["level"] for answer in found["calibrated"]]
        smallest = {name: [(min(f["q"] for f in a["features"]), a) for a in answers] for name, answers in found.items()}
        told_of = {
            "driftmill, q < α": [q < ALPHA for q, _ in smallest["plain"]],
            "driftmill, verdict": [moved(a) for _, a in smallest["plain"]],
            "driftmill, q < calibrated level": [q < a["level"] for q, a in smallest["calibrated"]],
            "driftmill, verdict, calibrated level": [moved(a) for _, a in smallest["calibrated"]],
            "driftmill by hours of the week, q < α": [q < ALPHA for q, _ in smallest["hours"]],
            "driftmill by hours of the week, verdict": [moved(a) for _, a in smallest["hours"]],
            "SciPy, Benjamini-Hochberg": [benjamini_hochberg([f["p"] for f in answer]) for answer in ask("scipy")],
        }
        for name, more in told_of.items():
            flags.setdefault(name, []).extend(more)
    return {"level": levels, **{name: f for name, f in flags.items() if f}}


def stream(kind, minute, rows, rng):
    if kind == SINE:
        return np.sin(2 * np.pi * (minute + np.arange(rows)) / DAY) + rng.normal(size=rows)
    # What comes before makes it stationary.
    before = 200
    return lfilter([math.sqrt(1 - PHI**2)], [1, -PHI], rng.normal(size=before + rows))[before:]


def benjamini_hochberg(p):
    """Whether any is significant."""
    return bool(np.any(np.sort(p) < ALPHA * np.arange(1, len(p) + 1) / len(p)))


def interval(found):
    """Wilson's interval of a share, 95 %."""
    n, share, z = found["runs"], found["alarms"] / found["runs"], 1.96
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max((middle - half) / (1 + z * z / n), 0.0), (middle + half) / (1 + z * z / n)


def cell(found):
    low, high = interval(found)
    return f"{100 * found['alarms'] / found['runs']:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def table(found):
    lines = ["## False alarms", "", "Shares of runs without drift in which something is flagged, and their 95 % intervals; α is .05.", ""]
    names = list(found["families"][0]["rates"])
    lines += [f"| {FEATURES} columns | runs | " + " | ".join(f"{f['reference']:,} v {f['live']:,} rows" for f in found["families"]) + " |"]
    lines += ["|---|---:|" + "---:|" * len(found["families"])]
    for name in names:
        bold = f"**{name}**" if name.startswith("driftmill") else name
        cells = " | ".join(cell(f["rates"][name]) for f in found["families"])
        lines.append(f"| {bold} | {found['families'][0]['rates'][name]['runs']} | {cells} |")
    lines += ["", "One column, reference of 5,000 rows:", ""]
    lines += ["| window | " + " | ".join(found["windows"][0]["rates"]) + " |", "|---:|" + "---:|" * len(found["windows"][0]["rates"])]
    for w in found["windows"]:
        lines.append(f"| {w['live']} | " + " | ".join(cell(r) for r in w["rates"].values()) + " |")
    lines += ["", "PSI:", "", "| rows | " + " | ".join(found["psi"][0]["rates"]) + " |", "|---|" + "---:|" * 4]
    for w in found["psi"]:
        lines.append(f"| {w['reference']:,} v {w['live']:,} | " + " | ".join(cell(r) for r in w["rates"].values()) + " |")
    lines += ["", "100,000 rows against 100,000, one column: " + "; ".join(f"{n} in {cell(r)}" for n, r in found["large"]["rates"].items()) + "."]
    return lines + neighbours_table(found["neighbours"])


def neighbours_table(found):
    lines = ["", f"Rows that resemble their neighbours, {NEIGHBOURS_FEATURES} columns; *+1σ*: one of them is shifted by as much as its noise."]
    heads = [f"{f['kind']}: {f['reference']:,} v {f['live']} rows | +1σ" for f in found]
    lines += ["", "| | " + " | ".join(heads) + " |", "|---|" + "---:|" * 2 * len(found)]
    for name in max((f["rates"] for f in found), key=len):
        bold = f"**{name}**" if name.startswith("driftmill") else name
        cells = [cell(f[side][name]) if name in f[side] else "–" for f in found for side in ("rates", "shifted")]
        lines.append(f"| {bold} | " + " | ".join(cells) + " |")
    runs = [next(iter(found[0][side].values()))["runs"] for side in ("rates", "shifted")]
    levels = " and ".join(f"{f['level']:.0e}" for f in found)
    return [*lines, "", f"{runs[0]} runs without drift, {runs[1]} with; medians of the calibrated level: {levels}."]
