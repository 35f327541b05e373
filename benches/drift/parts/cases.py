"""Cases that some tool gets wrong: what each says of the same rows."""

import math

import numpy as np

from .alarms import AT_ONCE
from .asking import OURS, Numbers, told

ASKED = [
    ("Evidently", "evidently", {}),
    ("Evidently PSI", "evidently", {"method": "psi"}),
    ("NannyML KS", "nannyml", {}),
    ("whylogs", "whylogs", {}),
    ("SciPy", "scipy", {"dropna": False}),
]


# χ² of two samples and its p-value: 34.1 and 2e-7 take the reference for the truth.
COUNTS, CHI2, CHI2_P = "categories 500/300/150/50 v 430/310/180/80 (χ² 15.08, p .0017)", 15.0831, 0.00174
# Whose score is D.
KS = {"NannyML KS", "whylogs", "SciPy"}


def samples():
    """Name, whether there is drift (None: what counts is another thing), reference, live, whether values are categories."""
    rng = np.random.default_rng(21)
    outlier = [1e6]
    calm = rng.normal(size=5_000)
    yield "1σ shift, one value of 1e6 in 5,001 of the reference", True, [*rng.normal(size=5_000), *outlier], rng.normal(1, 1, 1_000), False
    yield "1σ shift, one value of 1e6 in 20,001 of the reference", True, [*rng.normal(size=20_000), *outlier], rng.normal(1, 1, 5_000), False
    heavy = np.exp(rng.normal(0, 4, 20_000)), np.exp(rng.normal(2.1, 4, 2_000))
    yield "lognormal, σ = 4, shift of half a σ", True, *heavy, False
    live = rng.normal(size=1_000)
    live[::2] = np.nan
    yield "half of the values missing", True, calm, live, False
    yield "a tiny shift (.02σ) of many rows", False, rng.normal(size=200_000), rng.normal(0.02, 1, 200_000), False
    yield COUNTS, None, codes(500, 300, 150, 50), codes(430, 310, 180, 80), True
    yield "a category the reference has not, 30 % of the rows", True, codes(600, 400), codes(400, 300, 300), True
    # One row of fifty or more is of a category with one in a thousand: 5.8 of a hundred windows have that.
    yield "one row of 50 of a category that has 5 of 5,000", False, codes(3_000, 1_995, 5), codes(30, 19, 1), True
    yield "half of the categories missing", True, codes(600, 400), np.where(np.arange(1_000) % 2, np.nan, codes(600, 400)), True
    yield "a constant that stays", False, np.full(300, 7.0), np.full(300, 7.0), False
    yield "a constant that changes", True, np.full(300, 7.0), np.full(300, 7.5), False
    yield "values against nothing but NaN", True, calm[:300], np.full(300, np.nan), False
    yield "NaN against NaN", False, np.full(300, np.nan), np.full(300, np.nan), False
    yield "one row", None, calm[:300], calm[:1], False
    yield "no row", None, calm[:300], [], False


def codes(*counts):
    return np.repeat(np.arange(len(counts), dtype=float), counts)


def run(asked, peers):
    told("cases")
    numbers, cases = Numbers(asked.work / "cases.f64"), list(samples())
    windows = [
        {"columns": [numbers.column(reference, live)], "policy": AT_ONCE, "category": category}
        for _, _, reference, live, category in cases
    ]
    question = {"file": numbers.write(), "windows": windows}
    answers = {name: peers.ask(library, "judge", question | more)["windows"] for name, library, more in ASKED}
    found = []
    for place, (answer, (name, drift, *_, category)) in enumerate(zip(peers.ask(OURS, "judge", question)["windows"], cases)):
        says = {OURS: ours(answer, drift)}
        if name == COUNTS:
            says[OURS]["wrong"] = abs(answer["features"][0]["p"] / CHI2_P - 1) > 0.05
        d = answers["SciPy"][place][0].get("score")
        for other in answers:
            says[other] = theirs(answers[other][place][0], drift)
            if name == COUNTS:
                says[other]["wrong"] = not right_of_counts(answers[other][place][0], other)
            elif other in KS and not category:
                says[other]["wrong"] |= off(answers[other][place][0].get("score"), d)
        found.append({"case": name, "drift": drift, "says": says})
    return {"cases": found}


def off(score, d):
    """Whether a D is wrong by more than a tenth and more than whylogs' sketches may be."""
    return score is not None and d is not None and abs(score - d) > max(0.1 * d, 0.02)


def right_of_counts(answer, name):
    """By the p-value where it is told, else by χ²; a distance is as good as any."""
    if "p" in answer:
        return abs(answer["p"] / CHI2_P - 1) < 0.05
    return name.startswith("Evidently") or abs(answer["score"] / CHI2 - 1) < 0.01


def ours(answer, drift):
    feature, verdict = answer["features"][0], answer["verdict"]
    text = verdict.replace("_", " ")
    if verdict != "too_few_rows" and feature["comparison"] == "categories":
        text += f", χ² {number(feature['chi2'])}, p {number(feature['p'])}, distance {number(feature['d_low'])}, PSI {number(feature['psi'])}"
        if feature["unseen"]:
            text += f", {100 * feature['unseen'] / feature['live_rows']:.0f} % never seen"
    elif verdict != "too_few_rows":
        text += f", D {number(feature['d_low'])}, PSI {number(feature['psi'])}"
    if verdict == "quarantine":
        text = f"quarantine: {100 * feature['live_missing'] / max(feature['live_rows'], 1):.0f} % missing"
    wrong = drift is not None and (verdict != "stable") != drift
    return {"text": text, "wrong": wrong}


def theirs(answer, drift):
    if "error" in answer:
        return {"text": f"raises {answer['error'].split(':')[0]}", "wrong": True}
    if "says" in answer:
        return {"text": answer["says"], "wrong": drift is True}
    parts = [f"{key} {number(answer[key])}" for key in ("score", "p") if answer.get(key) is not None]
    nothing = any(part.endswith("NaN") for part in parts)
    text = ("drift" if answer["drift"] else "no drift") + ", " + ", ".join(parts).replace("score ", "")
    return {"text": text, "wrong": nothing or (drift is not None and answer["drift"] != drift)}


def number(value):
    if value is None or math.isnan(value):
        return "NaN"
    if value != 0 and not 0.001 <= abs(value) < 1_000:
        return f"{value:.0e}"
    text = f"{value:.4f}" if value < 0.01 else f"{value:.3f}"
    return text[1:] if 0 < value < 1 else f"{value:.0f}" if value == int(value) else f"{value:.2f}"


def table(found):
    names = list(found["cases"][0]["says"])
    lines = ["## Cases that tools fail", "", "✗ marks what is wrong: the answer, D by more than a tenth, NaN, an exception. Distances and statistics stand without a name.", ""]
    lines += ["| case | " + " | ".join(f"**{n}**" if n == OURS else n for n in names) + " |", "|---|" + "---|" * len(names)]
    for entry in found["cases"]:
        cells = [("✗ " if entry["says"][name]["wrong"] else "") + entry["says"][name]["text"] for name in names]
        lines.append(f"| {entry['case']} | " + " | ".join(cells) + " |")
    return lines
