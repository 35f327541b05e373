"""SciPy: `ks_2samp` a column, as most notebooks do it."""

import common
import numpy as np
from scipy import stats

ALPHA = 0.05


def contest(question):
    columns = [(question.numbers(c["reference"]), question.numbers(c["live"])) for c in question["columns"]]
    found, cpu = common.timed(lambda: [stats.ks_2samp(a, b).statistic for a, b in columns])
    return {"reference_cpu_s": None, "live_cpu_s": cpu, "scores": found}


def judge(question):
    method = question.get("method") or "auto"

    def column(c):
        a, b = question.numbers(c["reference"]), question.numbers(c["live"])
        if question.get("dropna", True):
            a, b = a[~np.isnan(a)], b[~np.isnan(b)]
        test = stats.ks_2samp(a, b, method=method)
        return {"score": test.statistic, "p": test.pvalue, "drift": bool(test.pvalue < ALPHA)}

    def categories(c):
        a, b = (question.numbers(c[side]) for side in ("reference", "live"))
        # Missing values are not counted, as in a cross-tabulation.
        a, b = (side[~np.isnan(side)].astype(int) for side in (a, b))
        size = int(max(a.max(), b.max())) + 1
        test = stats.chi2_contingency([np.bincount(a, minlength=size), np.bincount(b, minlength=size)])
        return {"score": test.statistic, "p": test.pvalue, "drift": bool(test.pvalue < ALPHA)}

    def window(w):
        work = categories if w.get("category") else column
        return [common.attempt(lambda c=c: [work(c)], 1)[0] for c in w["columns"]]

    return {"windows": [window(w) for w in question["windows"]]}


def pairs(question):
    """Exact where ours is exact, asymptotic for all."""
    found = []
    for a, b in question["pairs"]:
        a, b = question.numbers(a), question.numbers(b)
        exact = None
        if len(a) * len(b) <= question["exact_limit"]:
            exact = exact_or_none(a, b)
        asymptotic = stats.ks_2samp(a, b, method="asymp")
        found.append({"d": asymptotic.statistic, "exact": exact, "asymptotic": asymptotic.pvalue})
    return {"pairs": found}


def exact_or_none(a, b):
    """SciPy falls back to the asymptotic value where its exact one fails, and warns."""
    import warnings

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        p = stats.ks_2samp(a, b, method="exact").pvalue
    return None if any("Exact calculation unsuccessful" in str(w.message) or "Switching" in str(w.message) for w in told) else p


def counts(question):
    from scipy.spatial.distance import jensenshannon

    tables = []
    for a, b in question["tables"]:
        test = stats.chi2_contingency([a, b], correction=False)
        p, q = np.array(a) / sum(a), np.array(b) / sum(b)
        one_sample = stats.chisquare(b, np.array(a) * sum(b) / sum(a))
        tables.append({
            "chi2": test.statistic, "df": test.dof, "p": test.pvalue, "jensen_shannon": jensenshannon(p, q, base=2),
            "psi_without_pseudo_count": float(np.sum((p - q) * np.log(p / q))),
            "one_sample_chi2": one_sample.statistic, "one_sample_p": one_sample.pvalue,
        })
    return {"tables": tables, "q": stats.false_discovery_control(question["p"]).tolist()}


if __name__ == "__main__":
    common.answer("scipy", {"contest": contest, "judge": judge, "pairs": pairs, "counts": counts})
