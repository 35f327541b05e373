"""alibi-detect: the online Cramér-von Mises detector, calibrated on the reference to an expected run time."""

import common
import numpy as np
from alibi_detect.cd import CVMDriftOnline


def detect(question):
    """Places of the alarms after the warm-up, on which it is calibrated; after an alarm its windows begin anew."""
    found = []
    for stream in question["streams"]:
        values, warm_up = question.numbers(stream["values"]), stream["warm_up"]
        np.random.seed(1)
        detector = CVMDriftOnline(
            values[:warm_up], ert=question["ert"], window_sizes=question["window_sizes"],
            n_bootstraps=question["bootstraps"], verbose=False,
        )
        alarms = []
        for place in range(warm_up, len(values)):
            if detector.predict(values[place])["data"]["is_drift"]:
                alarms.append(place)
                detector.reset_state()
        found.append(alarms)
    return {"alarms": found}


if __name__ == "__main__":
    common.answer("alibi-detect", {"detect": detect})
