"""River: ADWIN, KSWIN and Page-Hinkley, value by value, by their defaults; the annotated series of its wheel."""

import common
from river import drift

DETECTORS = {
    "ADWIN": drift.ADWIN,
    # Its subsamples are random: the seed makes a run one that can be repeated.
    "KSWIN": lambda: drift.KSWIN(seed=1),
    "Page-Hinkley": drift.PageHinkley,
}


def update(question):
    """Values a second; of the slow ones over the first values only."""
    make, limit = DETECTORS[question["method"]], question["limit"]
    found = []
    for column in question["columns"]:
        values = question.numbers(column["live"])[:limit].tolist()
        detector = make()

        def work(values=values, detector=detector):
            for value in values:
                detector.update(value)

        found.append(len(values) / common.timed(work)[1])
    return {"values_per_s": found}


def detect(question):
    """Places of the alarms after the warm-up, of which they see the last rows; after an alarm they begin anew by themselves."""
    found, method = [], question["method"]
    for stream in question["streams"]:
        values, detector, alarms = question.numbers(stream["values"]).tolist(), DETECTORS[method](), []
        # KSWIN looks back 100 values: to feed it more is of no use, and slow.
        first = max(stream["warm_up"] - 500, 0) if method == "KSWIN" else 0
        for place in range(first, len(values)):
            detector.update(values[place])
            if detector.drift_detected and place >= stream["warm_up"]:
                alarms.append(place)
                if place >= stream.get("enough", len(values)):
                    break
        found.append(alarms)
    return {"alarms": found}


def series(_):
    """The annotated series: columns of numbers in their order, annotations by person."""
    import csv

    from river.drift import datasets

    found = {}
    kinds = ["Occupancy", "Apple", "Bitcoin", "BrentSpotPrice", "RunLog", "UKCoalEmploy", "AirlinePassengers"]
    for kind in kinds:
        dataset = getattr(datasets, kind)()
        with open(dataset.path) as file:
            rows = list(csv.DictReader(file))
        # The first column is the time.
        columns = {name: [float(row[name]) for row in rows] for name in list(rows[0])[1:]}
        found[kind] = {"times": [next(iter(row.values())) for row in rows], "columns": columns,
                       "annotations": list(dataset.annotations.values())}
    return {"series": found}


if __name__ == "__main__":
    common.answer("river", {"update": update, "detect": detect, "series": series})
