"""NannyML: the calculator of univariate drift, Kolmogorov-Smirnov unless the question names another method."""

import common
import nannyml
import pandas as pd
from nannyml.chunk import SizeBasedChunker


def frame(question, columns, side, category=False):
    table = pd.DataFrame({f"x{i}": question.numbers(c[side]) for i, c in enumerate(columns)})
    return table.map(common.category) if category else table


def fitted(reference, rows, method, category=False):
    """Chunks as large as the live window: the threshold is three standard deviations over the reference's chunks."""
    names = list(reference.columns)
    kinds = {"categorical_methods": [method], "treat_as_categorical": names} if category else {"continuous_methods": [method]}
    # A short last chunk would differ from the others and raise the threshold.
    chunker = SizeBasedChunker(chunk_size=min(rows, len(reference)), incomplete="append")
    calculator = nannyml.UnivariateDriftCalculator(column_names=names, chunker=chunker, **kinds)
    return calculator.fit(reference)


def answers(calculator, live, method):
    table = calculator.calculate(live).filter(period="analysis").to_df()
    found = []
    for name in live.columns:
        value, alert = table[(name, method, "value")].iloc[0], table[(name, method, "alert")].iloc[0]
        found.append({"score": float(value), "drift": bool(alert)})
    return found


def contest(question):
    method = question.get("method") or "kolmogorov_smirnov"
    reference, live = (frame(question, question["columns"], side) for side in ("reference", "live"))
    calculator, reference_s = common.timed(lambda: fitted(reference, len(live), method))
    found, live_s = common.timed(lambda: answers(calculator, live, method))
    return {"reference_cpu_s": reference_s, "live_cpu_s": live_s, "scores": [f["score"] for f in found]}


def update(question):
    """Values a second, a column at a time."""
    method = question.get("method") or "kolmogorov_smirnov"
    found = []
    for column in question["columns"]:
        reference, live = (frame(question, [column], side) for side in ("reference", "live"))
        calculator = fitted(reference, len(live), method)
        found.append(len(live) / common.timed(lambda: answers(calculator, live, method))[1])
    return {"values_per_s": found}


def judge(question):
    def window(w):
        category = w.get("category", False)
        method = question.get("method") or ("chi2" if category else "kolmogorov_smirnov")
        reference, live = (frame(question, w["columns"], side, category) for side in ("reference", "live"))

        def work():
            # A few columns at a time: it takes longer for each of them the more there are.
            parts = [list(live.columns[at:at + 20]) for at in range(0, len(live.columns), 20)]
            fit = [fitted(reference[part], max(len(live), 1), method, category) for part in parts]
            return sum((answers(calculator, live[part], method) for calculator, part in zip(fit, parts)), [])

        return common.attempt(work, len(w["columns"]))

    return {"windows": [window(w) for w in question["windows"]]}


if __name__ == "__main__":
    common.answer("nannyml", {"contest": contest, "update": update, "judge": judge})
