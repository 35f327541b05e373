"""Agreement with SciPy over random pairs of samples, and the reference vectors."""

import numpy as np

from .asking import OURS, Numbers, told

# While the product of the sizes is at most this, p is exact.
EXACT_LIMIT = 10_000_000
LARGEST = 100_000


def sample(kind, rows, rng, shift):
    if kind == "normal":
        return rng.normal(shift, 1, rows)
    if kind == "integers":
        return rng.integers(0, 10, rows) + np.floor(rng.random(rows) + shift)
    if kind == "rounded":
        return np.round(rng.normal(shift, 1, rows), 1)
    if kind == "lognormal, sigma 4":
        return np.exp(rng.normal(4 * shift, 4, rows))
    return np.where(rng.random(rows) < 0.4, 0.0, rng.normal(shift, 1, rows))


def run(asked, peers):
    told(f"agreement: {asked.pairs} pairs")
    rng, numbers = np.random.default_rng(5), Numbers(asked.work / "pairs.f64")
    kinds, pairs, named = ["normal", "integers", "rounded", "lognormal, sigma 4", "atom of 40 %"], [], []
    for index in range(asked.pairs):
        kind = kinds[index % len(kinds)]
        # A third is small: there the exact distribution has few steps.
        largest = 60 if index % 3 == 0 else LARGEST
        m, n = (int(np.exp(rng.uniform(0, np.log(largest)))) for _ in range(2))
        if index % 7 == 0:
            n = m
        # Up to shifts that leave p just above zero.
        shift = rng.choice([0.0, 0.02, 0.1, 0.5])
        pairs.append((numbers.add(sample(kind, m, rng, 0.0)), numbers.add(sample(kind, n, rng, shift))))
        named.append({"kind": kind, "m": m, "n": n, "shift": float(shift)})
    vectors = ks_vectors(numbers, pairs, named)
    question = {"file": numbers.write(), "pairs": pairs, "exact_limit": EXACT_LIMIT}
    ours, theirs = (peers.ask(who, "pairs", question)["pairs"] for who in (OURS, "scipy"))
    (asked.work / "pairs.f64").unlink()
    rows = [{**name, "ours": a, "scipy": b} for name, a, b in zip(named, ours, theirs)]
    counted = counts(peers)
    return {"pairs": summary(rows[: asked.pairs]), "vectors": check(vectors, rows, counted)}


def ks_vectors(numbers, pairs, named):
    """V1, V2, V3, V5, V6, V9 of the design: what was drawn, what is to be found."""
    g = np.random.default_rng(42)
    a, b = g.normal(0, 1, 1000), g.normal(0, 1, 1000)
    g = np.random.default_rng(42)
    v2 = g.normal(0, 1, 1000), g.normal(0.25, 1, 500)
    g = np.random.default_rng(42)
    v3 = g.normal(0, 1, 200_000), g.normal(0.01, 1, 200_000)
    g = np.random.default_rng(42)
    v5 = g.lognormal(0, 3, 20_000), g.lognormal(1.5, 3, 5_000)
    one, two = congruential(1, 10_000), congruential(2, 5_000)
    vectors = {"V1": (a, b), "V2": v2, "V3": v3, "V5": v5, "V9": (one, two), "V9 raised to 1.1": (one, two**1.1)}
    places = {}
    for name, (x, y) in vectors.items():
        places[name] = len(pairs)
        pairs.append((numbers.add(x), numbers.add(y)))
        named.append({"kind": name, "m": len(x), "n": len(y)})
    return places


def congruential(state, count):
    values = np.empty(count)
    for i in range(count):
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        values[i] = (state >> 11) / 2**53
    return values


def tables():
    g = np.random.default_rng(42)
    reference, live = g.normal(0, 1, 10_000), g.normal(0.5, 1.2, 10_000)
    edges = np.quantile(reference, np.linspace(0, 1, 11))
    edges[0], edges[-1] = -np.inf, np.inf
    six = [np.histogram(x, edges)[0].tolist() for x in (reference, live)]
    deciles = np.linspace(0, 1, 11)
    one, two = congruential(1, 10_000), congruential(2, 5_000)
    nine = [[np.histogram(x, deciles)[0].tolist() for x in (one, y)] for y in (two, two**1.1)]
    return [six, [[500, 300, 150, 50], [430, 310, 180, 80]], *nine]


def counts(peers):
    p = [0.0001, 0.004, 0.019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1.0]
    question = {"tables": tables(), "p": p}
    return peers.ask(OURS, "counts", question), peers.ask("scipy", "counts", question)


def relative(got, want):
    return 0.0 if got == want else abs(got - want) / max(abs(want), 1e-300)


def summary(rows):
    d = max(abs(r["ours"]["d"] - r["scipy"]["d"]) for r in rows)
    found = {"pairs": len(rows), "d_absolute": d}
    # Denormal p-values have too few digits for a relative error.
    for key in ("exact", "asymptotic"):
        both = [r for r in rows if r["ours"][key] is not None and r["scipy"][key] is not None]
        errors = [(relative(r["ours"][key], r["scipy"][key]), r) for r in both if r["scipy"][key] > 1e-300]
        worst = max(errors, key=lambda e: e[0])
        found[key] = {
            "compared": len(errors), "relative": worst[0], "above_1e-9": sum(e > 1e-9 for e, _ in errors),
            "absolute": max(abs(r["ours"][key] - r["scipy"][key]) for r in both),
            "below_1e-300": len(both) - len(errors), "smallest": min(r["scipy"][key] for _, r in errors),
            "worst": {k: worst[1][k] for k in ("kind", "m", "n", "shift")}
            | {"d": worst[1]["ours"]["d"], "ours": worst[1]["ours"][key], "scipy": worst[1]["scipy"][key]},
        }
        found[key]["far"] = [
            {"kind": r["kind"], "m": r["m"], "n": r["n"], "d": r["ours"]["d"], "ours": r["ours"][key], "scipy": r["scipy"][key]}
            for e, r in sorted(errors, key=lambda e: -e[0])[:20] if e > 1e-9
        ]
    found["scipy_exact_failed"] = sum(r["ours"]["exact"] is not None and r["scipy"]["exact"] is None for r in rows)
    within = [r["ours"]["bounds"][0] - 1e-12 <= r["scipy"]["d"] <= r["ours"]["bounds"][1] + 1e-12 for r in rows]
    found["bounds_hold"] = sum(within)
    found["widest_bounds"] = max(r["ours"]["bounds"][1] - r["ours"]["bounds"][0] for r in rows if r["m"] >= 1024)
    return found


def check(places, rows, counted):
    """Each figure of the vectors: what is published, what we say, what SciPy says today."""
    ours, scipy = counted
    ks = {name: rows[place] for name, place in places.items()}
    six, seven, nine, raised = zip(ours["tables"], scipy["tables"])
    lines = [
        ("V1 D", 0.038, *(ks["V1"][w]["d"] for w in ("ours", "scipy"))),
        ("V1 exact p", 0.46595952885572572, *(ks["V1"][w]["exact"] for w in ("ours", "scipy"))),
        ("V1 asymptotic p", 0.45465950307280201, *(ks["V1"][w]["asymptotic"] for w in ("ours", "scipy"))),
        ("V2 D", 0.142, *(ks["V2"][w]["d"] for w in ("ours", "scipy"))),
        ("V2 exact p", 2.7104792657669987e-06, *(ks["V2"][w]["exact"] for w in ("ours", "scipy"))),
        ("V2 asymptotic p", 2.5406774997153438e-06, *(ks["V2"][w]["asymptotic"] for w in ("ours", "scipy"))),
        ("V3 D", 0.00619, *(ks["V3"][w]["d"] for w in ("ours", "scipy"))),
        ("V3 p", 9.3567e-4, *(ks["V3"][w]["asymptotic"] for w in ("ours", "scipy"))),
        ("V5 D", 0.21425, *(ks["V5"][w]["d"] for w in ("ours", "scipy"))),
        ("V6 PSI", 0.24870236506396903, *(t["psi_without_pseudo_count"] for t in six)),
        ("V6 Jensen-Shannon", 0.20893739169569245, *(t["jensen_shannon"] for t in six)),
        ("V7 chi2", 15.083101280880232, *(t["chi2"] for t in seven)),
        ("V7 PSI", 0.030455256090841473, *(t["psi_without_pseudo_count"] for t in seven)),
        ("V7 Jensen-Shannon", 0.073931642976982348, *(t["jensen_shannon"] for t in seven)),
        ("V8 q of .019", 0.0603, ours["q"][2], scipy["q"][2]),
        ("V8 q of .0278", 0.0638571429, ours["q"][5], scipy["q"][5]),
        ("V9 D", 0.0105, *(ks["V9"][w]["d"] for w in ("ours", "scipy"))),
        ("V9 p", 0.8520864079492223, *(ks["V9"][w]["asymptotic"] for w in ("ours", "scipy"))),
        ("V9 PSI", 0.0012146629700514702, *(t["psi_without_pseudo_count"] for t in nine)),
        ("V9 raised D", 0.0435, *(ks["V9 raised to 1.1"][w]["d"] for w in ("ours", "scipy"))),
        ("V9 raised p", 6.4329623426990335e-06, *(ks["V9 raised to 1.1"][w]["asymptotic"] for w in ("ours", "scipy"))),
        ("V9 raised PSI", 0.011120396193058022, *(t["psi_without_pseudo_count"] for t in raised)),
    ]
    return [{"figure": n, "published": p, "ours": o, "scipy": s} for n, p, o, s in lines]


def table(found):
    pairs = found["pairs"]
    lines = ["## Agreement with SciPy", ""]
    lines += [
        f"{pairs['pairs']} random pairs of samples of 1 to {LARGEST:,} values, three of five kinds with ties. D of the samples differs by "
        f"{pairs['d_absolute']:.0e} at most. The bins' bounds held D in {pairs['bounds_hold']} of {pairs['pairs']} pairs and were "
        f"{pairs['widest_bounds']:.5f} apart at most (references of 1,024 values and more).", "",
        "| p-value | pairs | largest relative error | above 1e-9 | largest absolute error | smallest p |", "|---|---:|---:|---:|---:|---:|",
    ]
    for key in ("exact", "asymptotic"):
        k = pairs[key]
        lines.append(
            f"| {key} | {k['compared']} | {k['relative']:.1e} | {k['above_1e-9']} | {k['absolute']:.1e} | {k['smallest']:.0e} |"
        )
    lines += ["", f"SciPy's exact p-value failed for {pairs['scipy_exact_failed']} of the pairs; p-values below 1e-300 are left out.", ""]
    lines += ["| vector | published | ours | SciPy of this run | ours against SciPy, relative |", "|---|---:|---:|---:|---:|"]
    for v in found["vectors"]:
        lines.append(
            f"| {v['figure']} | {v['published']:.10g} | {v['ours']:.10g} | {v['scipy']:.10g} | {relative(v['ours'], v['scipy']):.0e} |"
        )
    return lines
