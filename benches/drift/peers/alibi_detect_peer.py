"""alibi-detect: the online Cramér-von Mises detector, calibrated on the reference to an expected run time."""

import common
import numpy as np
from alibi_detect.cd import CVMDriftOnline

# Rows it learns from, values until it alarms without drift, and its simulations, which must be more than those. Of ten times
# the rows it did not come to an end when tried.
REFERENCE, RUN_TIME, BOOTSTRAPS, WINDOWS = 1_000, 1_000, 1_500, [20, 80]


def detect(question):
    """Places of the alarms after the warm-up, on whose last rows it is calibrated: once for all, where streams are of one kind."""
    found, detector, learning, watching, watched = [], None, 0.0, 0.0, 0

    def learn(values):
        np.random.seed(1)
        return CVMDriftOnline(values, ert=RUN_TIME, window_sizes=WINDOWS, n_bootstraps=BOOTSTRAPS, verbose=False)

    for stream in question["streams"]:
        values, warm_up = question.numbers(stream["values"]), stream["warm_up"]
        if detector is None:
            detector, learning = common.timed(lambda v=values[warm_up - REFERENCE:warm_up]: learn(v))
        detector.reset_state()
        alarms = []

        def watch(values=values, warm_up=warm_up, enough=stream.get("enough", len(values)), alarms=alarms):
            for place in range(warm_up, len(values)):
                if detector.predict(values[place])["data"]["is_drift"]:
                    alarms.append(place)
                    detector.reset_state()
                    if place >= enough:
                        break
            return place - warm_up + 1

        count, cpu = common.timed(watch)
        watching, watched = watching + cpu, watched + count
        found.append(alarms)
    return {"alarms": found, "learning_cpu_s": learning, "values_per_s": watched / watching}


if __name__ == "__main__":
    common.answer("alibi-detect", {"detect": detect})
