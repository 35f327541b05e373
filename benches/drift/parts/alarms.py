"""False alarms: what is said where nothing drifted."""

import math

import numpy as np

from .asking import OURS, Numbers, told

ALPHA = 0.05
FEATURES = 20
# One window is enough for a verdict, and small ones are judged.
AT_ONCE = {"confirm_windows": 1, "of_windows": 1, "min_rows": 50, "alpha": ALPHA}
# Rows of reference and window, and what judges them by a p-value that is exact or asymptotic.
FAMILIES = [(2_000, 400), (8_000, 1_300)]
CHUNK = 100
# Seeds of the peers that take long for each.
FEW = 100
WINDOWS = [50, 100, 200]
COLUMNS = 200
SKETCHED = 60


def run(asked, peers):
    few = min(FEW, asked.seeds)
    return {
        "families": [family(asked, peers, *sizes, few) for sizes in FAMILIES],
        "windows": [windows(asked, peers, rows) for rows in WINDOWS],
        "psi": [psi(asked, peers, *sizes) for sizes in [(200, 200), (5_000, 200), (5_000, 1_000)]],
        "large": large(asked, peers),
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
            p = np.sort([f["p"] for f in answer])
            flags["SciPy, any p < α"].append(p[0] < ALPHA)
            flags["SciPy, Benjamini-Hochberg"].append(bool(np.any(p < ALPHA * np.arange(1, FEATURES + 1) / FEATURES)))
        if start < few:
            # All columns in one table: it is the call that costs.
            every = sum((w["columns"] for w in all_windows), [])
            joined = {"file": question["file"], "windows": [{"columns": every}], "bare": True}
            for name, library in slow.items():
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
        found[name] = rate(f["drift"] for f in ask_columns(peers, numbers, columns, library))
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
    return lines
