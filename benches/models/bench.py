"""Ours and the field's tools on the same rows, in turn: fit time, quality, prediction time, memory. See README.md."""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
FEATURES = 20
# Of trees and lines: who can be compared with whom.
CONTESTS = [
    ("random_forest", ["scikit-learn"]),
    ("gradient_boosting", ["scikit-learn", "lightgbm", "xgboost"]),
    ("logistic_regression", ["scikit-learn"]),
    ("linear_regression", ["scikit-learn"]),
]
# Minutes a fit.
TOO_LONG = {("random_forest", 1_000_000, "scikit-learn")}
# A forest of values tries every feature at every split, ours and scikit-learn's.
LARGEST_FOREST_OF_VALUES = 10_000


def rows_of(size, seed):
    """Gaussian features and five with ten values each; a smooth signal, steps and products, and noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, FEATURES))
    x[:, 15:] = rng.integers(0, 10, size=(size, 5))
    signal = (
        2 * np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + np.where(x[:, 3] > 0, x[:, 4], -x[:, 4]) + 0.5 * x[:, 5] ** 2
        + 0.8 * (x[:, 6] + x[:, 7]) + 0.6 * (x[:, 15] % 3) - 0.2 * x[:, 16] + (x[:, 17] == 4)
    )
    signal -= 0.35
    return x, signal, rng


def write(folder, size, regression, seed=1):
    folder.mkdir(parents=True)
    for part, rows, seed_of_part in [("train", size, seed), ("test", max(2_000, min(size // 5, 50_000)), seed + 1_000)]:
        x, signal, rng = rows_of(rows, seed_of_part)
        y = signal + rng.normal(size=rows) if regression else rng.random(rows) < 1 / (1 + np.exp(-signal))
        x.astype("<f8").tofile(folder / f"{part}.x")
        y.astype("<f8").tofile(folder / f"{part}.y")
    return FEATURES


def write_iris(folder, csv):
    folder.mkdir(parents=True)
    cells = [line.split(",") for line in csv.read_text().split("\n")[1:] if line]
    names = sorted({row[4] for row in cells})
    order = np.random.default_rng(1).permutation(len(cells))
    for part, chosen in [("train", order[30:]), ("test", order[:30])]:
        np.array([[float(cell) for cell in cells[i][:4]] for i in chosen]).astype("<f8").tofile(folder / f"{part}.x")
        np.array([names.index(cells[i][4]) for i in chosen]).astype("<f8").tofile(folder / f"{part}.y")
    return 4


def measure(asked, library, algorithm, folder, features, regression):
    """One process, one measurement."""
    shared = [str(folder), "--features", str(features), "--algorithm", algorithm, "--threads", str(asked.threads)]
    shared += ["--regression"] * regression
    if library == "driftmill":
        command = [asked.bin, *shared]
    else:
        command = [sys.executable, str(HERE / "peers/peer.py"), *shared, "--library", library]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{library} {algorithm}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def contests(asked):
    sizes = [int(size) for size in asked.sizes.split(",")]
    for algorithm, peers in CONTESTS:
        for regression in [False, True]:
            if algorithm in ("logistic_regression", "linear_regression") and regression != (algorithm == "linear_regression"):
                continue
            name = algorithm + (" regression" if regression and algorithm != "linear_regression" else "")
            for size in sizes:
                if size == 150 and regression:
                    continue
                if name == "random_forest regression" and size > LARGEST_FOREST_OF_VALUES:
                    continue
                libraries = ["driftmill"] + [peer for peer in peers if (name, size, peer) not in TOO_LONG]
                yield name, algorithm, regression, size, libraries


def run(asked):
    results = []
    for name, algorithm, regression, size, libraries in contests(asked):
        folder = asked.work / f"{size}-{'values' if regression else 'classes'}"
        if not folder.is_dir():
            iris = HERE.parent.parent / "pipelines/iris/data/iris.csv"
            features = write_iris(folder, iris) if size == 150 else write(folder, size, regression)
        features = 4 if size == 150 else FEATURES
        runs = {library: [] for library in libraries}
        long = size > 100_000 and algorithm == "random_forest"
        for _ in range(1 if long else asked.repetitions):
            for library in libraries:
                print(f"{name}, {size} rows, {library}", file=sys.stderr)
                runs[library].append(measure(asked, library, algorithm, folder, features, regression))
        for library in libraries:
            results.append({"model": name, "rows": size, "features": features, "library": library, "runs": runs[library]})
    return results


def median(result, key):
    return statistics.median(run[key] for run in result["runs"])


def table(results, asked):
    with open("/proc/cpuinfo") as file:
        processor = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    lines = [
        "# Models beside the field's tools",
        "",
        f"{processor}, {asked.threads} threads for every fit, one for predictions. Medians of {asked.repetitions} runs, of one",
        "for forests of a million rows. Made by `make bench-models`; ../README.md tells how.",
        "",
        "| model | rows | library | fit s | against the fastest peer | CPU s | quality | one row µs | in batches µs/row | memory MiB | model MiB |",
        "|---|---:|---|---:|---:|---:|---|---:|---:|---:|---:|",
    ]
    for result in results:
        others = [
            median(other, "fit_s") for other in results
            if other["model"] == result["model"] and other["rows"] == result["rows"] and other["library"] != "driftmill"
        ]
        ours = result["library"] == "driftmill"
        ratio = f"{median(result, 'fit_s') / min(others):.2f}" if ours and others else ""
        quality = ", ".join(f"{key} {value:.4f}" for key, value in result["runs"][0]["quality"].items())
        lines.append(
            f"| {result['model']} | {result['rows']} × {result['features']} | {'**driftmill**' if ours else result['library']} "
            f"| {median(result, 'fit_s'):.3f} | {ratio} | {median(result, 'fit_cpu_s'):.2f} | {quality} "
            f"| {median(result, 'single_us'):.2f} | {median(result, 'batch_us'):.3f} "
            f"| {median(result, 'memory_mib'):.0f} | {median(result, 'model_mib'):.2f} |"
        )
    return "\n".join(lines) + "\n"


def plot(results, file):
    import matplotlib

    matplotlib.use("svg")
    # The same results give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "driftmill"
    from matplotlib import pyplot

    colours = {"driftmill": "#d1495b", "scikit-learn": "#f4a261", "lightgbm": "#2a9d8f", "xgboost": "#457b9d"}
    models = [name for name in ["random_forest", "gradient_boosting"] if any(r["model"] == name for r in results)]
    figure, axes = pyplot.subplots(1, len(models), figsize=(4.6 * len(models), 3.6), squeeze=False)
    for axis, name in zip(axes[0], models):
        for library, colour in colours.items():
            points = [(r["rows"], median(r, "fit_s")) for r in results if r["model"] == name and r["library"] == library]
            if points:
                axis.plot(*zip(*points), marker="o", color=colour, label=library, lw=2.5 if library == "driftmill" else 1.5)
        axis.set(xscale="log", yscale="log", xlabel="rows", ylabel="fit, seconds", title=name.replace("_", " "))
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="the built bench-models")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for the rows, several hundred MB")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for results.md, results.json and fit.svg")
    parser.add_argument("--sizes", default="150,10000,100000,1000000")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    results = run(asked)
    described = {"machine": platform.platform(), "threads": asked.threads, "results": results}
    (asked.out / "results.json").write_text(json.dumps(described, indent=1) + "\n")
    (asked.out / "results.md").write_text(table(results, asked))
    plot(results, asked.out / "fit.svg")
    print(table(results, asked))


if __name__ == "__main__":
    main()
