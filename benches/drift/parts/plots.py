"""Plots of the annotated series: the series, what people annotated, what each detector said."""

import matplotlib

matplotlib.use("svg")
# The same results give the same file.
matplotlib.rcParams["svg.hashsalt"] = "driftmill"
from matplotlib import pyplot  # noqa: E402 The backend comes first.

COLOURS = {
    "driftmill": "#d1495b", "driftmill, new reference": "#8f2d56", "ADWIN": "#457b9d", "KSWIN": "#2a9d8f",
    "Page-Hinkley": "#f4a261",
}


def stream(file, title, entry, alarms):
    """One series: its columns, each brought to 0…1; below, a line for all people and one for each detector."""
    figure, (above, below) = pyplot.subplots(
        2, 1, figsize=(9, 4.2), sharex=True, gridspec_kw={"height_ratios": [3, 2], "hspace": 0.06}
    )
    for place, (name, values) in enumerate(entry["columns"].items()):
        low, high = min(values), max(values)
        above.plot([(v - low) / (high - low or 1) for v in values], lw=0.9, color=f"C{place}" if len(entry["columns"]) > 1 else "#333333", label=name)
    if len(entry["columns"]) > 1:
        above.legend(frameon=False, ncols=len(entry["columns"]), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, fontsize=8)
    people = [(place, person) for person, places in enumerate(entry["annotations"]) for place in places]
    rows = ["people", *alarms]
    for person in range(len(entry["annotations"])):
        height = 0.7 / len(entry["annotations"])
        at = -0.35 + person * height
        below.vlines([place for place, who in people if who == person], at, at + height, color="#333333", lw=1.4)
    for row, (name, places) in enumerate(alarms.items(), start=1):
        below.vlines(places, row - 0.32, row + 0.32, color=COLOURS[name], lw=1.4)
    for axis in (above, below):
        axis.axvspan(0, entry["warm_up"], color="#eeeeee", zorder=0)
        for change in entry["changes"]:
            axis.axvline(change, color="#bbbbbb", lw=0.8, ls="--", zorder=0)
        axis.spines[["top", "right"]].set_visible(False)
    below.set(yticks=range(len(rows)), yticklabels=rows, ylim=(len(rows) - 0.5, -0.5), xlim=(0, entry["rows"]), xlabel="row")
    below.tick_params(axis="y", length=0)
    above.set_yticks([])
    above.set_title(title, loc="right", fontsize=11)
    figure.savefig(file, metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)
