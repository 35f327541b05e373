"""Detectors that look at every value: false alarms and delays, on made streams and on real ones that people annotated."""

import statistics

import numpy as np

from . import plots
from .asking import OURS, Numbers, told

# Made streams. A day has 1,440 values, so the warm-up has seven.
DAY, WARM_UP, CALM, AFTER, SEEDS = 1_440, 10_000, 1_000, 5_000, 20
CALM_ROWS, CALM_SEEDS = 100_000, 10
CALM_KINDS = ["N(0, 1)", "lognormal, σ = 4", "daily sine, 1σ"]
CHANGES = {"+.25σ": (0.25, 1), "+.5σ": (0.5, 1), "+1σ": (1, 1), "σ 1 → 2": (0, 2)}
# KSWIN takes a seventh of a millisecond for a value, alibi-detect a quarter: they have fewer streams.
FEWER = {"KSWIN": (30_000, 1), "alibi-detect CvM": (10_000, 1)}

# Real streams: the first share of the rows is the warm-up.
WARM_UP_SHARE = 0.2
# Rows by which people's annotations of one change may lie apart, and by which an alarm may precede it.
MARGIN = 5
# People that must agree on a change.
AGREE = 2
# An alarm belongs to a change for so large a share of the rows after it, or until the next one.
PATIENCE = 0.1

DETECTORS = {
    "driftmill": (OURS, {}),
    "driftmill, new reference": (OURS, {"renew": True}),
    "ADWIN": ("river", {"method": "ADWIN"}),
    "KSWIN": ("river", {"method": "KSWIN"}),
    "Page-Hinkley": ("river", {"method": "Page-Hinkley"}),
}
# Who watches the made streams; alibi-detect would learn from every series anew, for minutes.
WATCHING = {name: asked for name, asked in DETECTORS.items() if "new" not in name} | {"alibi-detect CvM": ("alibi-detect", {})}
# What a clock finds: an alarm every so many rows.
CLOCK, EVERY = "every 30 rows", 30


def run(asked, peers):
    return {"calm": calm(asked, peers), "changes": changes(asked, peers), "series": annotated(asked, peers)}


def calm_stream(kind, rows, rng):
    values = rng.normal(size=rows)
    if kind.startswith("lognormal"):
        return np.exp(4 * values)
    return values + np.sin(2 * np.pi * np.arange(rows) / DAY) if "sine" in kind else values


def scaled(values, warm_up):
    """By mean and standard deviation of the warm-up: Page-Hinkley's and ADWIN's defaults are meant for such values."""
    values = np.asarray(values, dtype=float)
    return (values - values[:warm_up].mean()) / (values[:warm_up].std() or 1.0)


def calm(asked, peers):
    found = {}
    for kind in CALM_KINDS:
        told(f"detectors: {kind}")
        numbers = Numbers(asked.work / "calm.f64")
        streams = [calm_stream(kind, WARM_UP + CALM_ROWS, np.random.default_rng([31, seed])) for seed in range(CALM_SEEDS)]
        places = [numbers.add(scaled(stream, WARM_UP)) for stream in streams]
        numbers.write()
        found[kind] = {}
        for name, (library, more) in WATCHING.items():
            rows, seeds = FEWER.get(name, (CALM_ROWS, CALM_SEEDS))
            asked_streams = [{"values": (at, WARM_UP + rows), "warm_up": WARM_UP} for at, _ in places[:seeds]]
            answer = peers.ask(library, "detect", {"file": str(numbers.file), "streams": asked_streams, **more})
            alarms = sum(map(len, answer.pop("alarms")))
            found[kind][name] = {"alarms": alarms, "values": rows * seeds, **answer}
    return found


def changes(asked, peers):
    told("detectors: changes")
    numbers, streams, change = Numbers(asked.work / "changes.f64"), [], WARM_UP + CALM
    for shift, spread in CHANGES.values():
        for seed in range(SEEDS):
            values = np.random.default_rng([32, seed]).normal(size=change + AFTER)
            values[change:] = values[change:] * spread + shift
            streams.append({"values": numbers.add(values), "warm_up": WARM_UP, "enough": change})
    question = {"file": numbers.write(), "streams": streams}
    found = {kind: {} for kind in CHANGES}
    for name, (library, more) in WATCHING.items():
        # All of them in one question: some peers take longer to be imported than to answer.
        alarms = iter(peers.ask(library, "detect", question | more)["alarms"])
        for kind in CHANGES:
            first = [[a for a in next(alarms) if a >= change] for _ in range(SEEDS)]
            delays = [places[0] - change + 1 for places in first if places]
            found[kind][name] = {"delays": delays, "missed": SEEDS - len(delays)}
    return found


def annotated(asked, peers):
    told("detectors: annotated series")
    series = shaped(peers.ask("river", "series", {})["series"])
    numbers, streams = Numbers(asked.work / "series.f64"), []
    for entry in series.values():
        entry["rows"] = len(next(iter(entry["columns"].values())))
        entry["warm_up"] = int(WARM_UP_SHARE * entry["rows"])
        entry["changes"] = agreed(entry["annotations"], entry["warm_up"])
        streams += [
            {"values": numbers.add(scaled(values, entry["warm_up"])), "warm_up": entry["warm_up"]}
            for values in entry["columns"].values()
        ]
    question = {"file": numbers.write(), "streams": streams}
    alarms = {name: iter(peers.ask(library, "detect", question | more)["alarms"]) for name, (library, more) in DETECTORS.items()}
    found = {}
    for kind, entry in series.items():
        of = {name: joined([next(alarms[name]) for _ in entry["columns"]]) for name in DETECTORS}
        plots.stream(asked.out / f"{kind.lower()}.svg", kind, entry, of)
        clock = list(range(entry["warm_up"] + EVERY, entry["rows"], EVERY))
        scored = {name: score(entry, places) for name, places in {**of, CLOCK: clock}.items()}
        found[kind] = {key: entry[key] for key in ("rows", "warm_up", "changes")} | {"scores": scored}
    return found


def shaped(series):
    """The series that people annotated: River ships two of them in full, though their annotations count every so many rows."""
    def keep(kind, names, rows=lambda count, times: range(count)):
        entry = series[kind]
        chosen = list(rows(len(entry["times"]), entry["times"]))
        return {"columns": {n: [entry["columns"][n][i] for i in chosen] for n in names}, "annotations": entry["annotations"]}

    return {
        "Occupancy": keep("Occupancy", ["V1", "V2", "V3", "V4"]),
        "Apple": keep("Apple", ["Close", "Volume"], lambda count, _: range(0, count, 3)),
        "Bitcoin": keep("Bitcoin", ["price"]),
        "BrentSpotPrice": keep(
            "BrentSpotPrice", ["DPB"], lambda count, times: [i for i in range(count) if int(times[i][-4:]) >= 2000][::10]
        ),
        # The distance run grows for ever: what was annotated is the pace.
        "RunLog": keep("RunLog", ["Pace"]),
        "UKCoalEmploy": keep("UKCoalEmploy", ["Employment"]),
        "AirlinePassengers": keep("AirlinePassengers", ["Total Passengers"]),
    }


def agreed(annotations, warm_up):
    """Changes that several people saw at about the same row, after the warm-up: the median of their annotations."""
    marks = sorted((place, person) for person, places in enumerate(annotations) for place in places)
    found, at = [], 0
    while at < len(marks):
        group = [mark for mark in marks[at:] if mark[0] - marks[at][0] <= MARGIN]
        at += len(group)
        place = int(statistics.median(place for place, _ in group))
        if len({person for _, person in group}) >= AGREE and place > warm_up:
            found.append(place)
    return found


def joined(columns):
    """Alarms of several columns at about the same row are one."""
    found = []
    for place in sorted(place for alarms in columns for place in alarms):
        if not found or place - found[-1] > MARGIN or len(columns) == 1:
            found.append(place)
    return found


def score(entry, alarms):
    """The first alarm of a change finds it, later ones repeat it, all others are false."""
    changes, rows = entry["changes"], entry["rows"]
    delays, repeats, false = {}, 0, 0
    for alarm in alarms:
        before = [c for c in changes if c - MARGIN <= alarm]
        if not before or alarm - before[-1] > PATIENCE * rows:
            false += 1
        elif before[-1] in delays:
            repeats += 1
        else:
            delays[before[-1]] = max(alarm - before[-1], 0)
    return {"changes": len(changes), "found": len(delays), "delays": list(delays.values()), "repeats": repeats, "false": false,
            "alarms": alarms}


def table(found):
    lines = ["## Detectors", "", f"Alarms per 100,000 values without drift ({CALM_SEEDS} streams of {CALM_ROWS:,} values, "
             + ", ".join(f"{name} one of {rows:,}" for name, (rows, _) in FEWER.items()) + f"), after a warm-up of {WARM_UP:,}.", ""]
    lines += ["| | " + " | ".join(found["calm"]) + " |", "|---|" + "---:|" * len(found["calm"])]
    for name in WATCHING:
        rates = [f"{1e5 * r[name]['alarms'] / r[name]['values']:.1f}" for r in found["calm"].values()]
        lines.append(f"| {bold(name)} | " + " | ".join(rates) + " |")
    lines += ["", f"Values from the change to the alarm, median of {SEEDS} streams (missed: no alarm in {AFTER:,} values).", ""]
    lines += ["| | " + " | ".join(found["changes"]) + " |", "|---|" + "---:|" * len(found["changes"])]
    for name in WATCHING:
        cells = []
        for kind in found["changes"].values():
            told_of = kind[name]
            median = f"{statistics.median(told_of['delays']):.0f}" if told_of["delays"] else "–"
            cells.append(median + (f" ({told_of['missed']} missed)" if told_of["missed"] else ""))
        lines.append(f"| {bold(name)} | " + " | ".join(cells) + " |")
    first = next(iter(found["calm"].values()))
    told_of = [
        f"{name} takes {first[name]['learning_cpu_s']:.2f} CPU seconds to learn from a warm-up and watches "
        f"{first[name]['values_per_s']:,.0f} values a second, one by one" for name in ("driftmill", "alibi-detect CvM")
    ]
    lines += ["", "; ".join(told_of) + ".", ""]
    names = [*DETECTORS, CLOCK]
    lines += ["Annotated series: changes found / median delay in rows / repeated alarms / false alarms; F1 of found and false.", ""]
    lines += ["| series | rows | changes | " + " | ".join(bold(n) for n in names) + " |", "|---|---:|---:|" + "---|" * len(names)]
    for kind, entry in found["series"].items():
        cells = [cell([entry["scores"][name]]) for name in names]
        lines.append(f"| [{kind}]({kind.lower()}.svg) | {entry['rows']} | {len(entry['changes'])} | " + " | ".join(cells) + " |")
    cells = [cell([entry["scores"][name] for entry in found["series"].values()], f1=True) for name in names]
    rows, count = (sum(f(e) for e in found["series"].values()) for f in (lambda e: e["rows"], lambda e: len(e["changes"])))
    return [*lines, f"| all | {rows} | {count} | " + " | ".join(cells) + " |"]


def bold(name):
    return f"**{name}**" if name.startswith("driftmill") else name


def cell(scores, f1=False):
    delays = [delay for score in scores for delay in score["delays"]]
    found, repeats, false, changes = (sum(score[key] for score in scores) for key in ("found", "repeats", "false", "changes"))
    median = f"{statistics.median(delays):.0f}" if delays else "–"
    text = f"{found} / {median} / {repeats} / {false}"
    return f"{text}; {2 * found / (found + false + changes):.2f}" if f1 else text
