"""Fits one peer's model to rows in files and measures it as ../src/main.rs measures ours. Prints one JSON object."""

import argparse
import json
import pathlib
import pickle
import time

import numpy as np

SINGLE = 200
ENOUGH = 0.3


def read(folder, name, features):
    x = np.fromfile(folder / f"{name}.x").reshape(-1, features)
    return x, np.fromfile(folder / f"{name}.y")


def model_of(library, algorithm, regression, threads):
    """The same trees, rounds, leaves and step as ours; histograms of 255 bins where the library has them."""
    forest, rounds = 100, 100
    if library == "scikit-learn":
        from sklearn import ensemble, linear_model

        if algorithm == "random_forest":
            # Ours tries every feature when it fits values, as scikit-learn does.
            kind = ensemble.RandomForestRegressor if regression else ensemble.RandomForestClassifier
            return kind(n_estimators=forest, n_jobs=threads, random_state=1)
        if algorithm == "gradient_boosting":
            kind = ensemble.HistGradientBoostingRegressor if regression else ensemble.HistGradientBoostingClassifier
            return kind(max_iter=rounds, early_stopping=False, random_state=1)
        if algorithm == "logistic_regression":
            return linear_model.LogisticRegression(max_iter=1000)
        return linear_model.LinearRegression()
    if library == "lightgbm":
        import lightgbm

        kind = lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier
        return kind(n_estimators=rounds, num_leaves=31, min_child_samples=20, n_jobs=threads, verbose=-1, random_state=1)
    import xgboost

    kind = xgboost.XGBRegressor if regression else xgboost.XGBClassifier
    return kind(
        n_estimators=rounds, learning_rate=0.1, max_leaves=31, max_depth=0, grow_policy="lossguide",
        tree_method="hist", n_jobs=threads, random_state=1,
    )


def status(name):
    with open("/proc/self/status") as file:
        return next(float(line.split()[1]) for line in file if line.startswith(name))


def one_thread(library, model):
    if library == "scikit-learn":
        if hasattr(model, "n_jobs"):
            model.n_jobs = 1
    else:
        model.set_params(n_jobs=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--features", type=int, required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--algorithm", required=True)
    parser.add_argument("--regression", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    x, y = read(asked.data, "train", asked.features)
    test_x, test_y = read(asked.data, "test", asked.features)
    if not asked.regression:
        y, test_y = y.astype(int), test_y.astype(int)
    model = model_of(asked.library, asked.algorithm, asked.regression, asked.threads)

    # The peak begins anew: to import and read took more than is left of it.
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = status("VmRSS")
    cpu = time.process_time()
    started = time.perf_counter()
    model.fit(x, y)
    fit_s, fit_cpu_s = time.perf_counter() - started, time.process_time() - cpu
    memory = (status("VmHWM") - before) / 1024

    one_thread(asked.library, model)
    answer = model.predict if asked.regression else model.predict_proba
    rows = [test_x[i % len(test_x)][None, :] for i in range(SINGLE)]
    single = min(timed(lambda: [answer(row) for row in rows]) for _ in range(3)) / SINGLE
    started, batches = time.perf_counter(), 0
    while batches == 0 or time.perf_counter() - started < ENOUGH:
        answers = answer(test_x)
        batches += 1
    batch = (time.perf_counter() - started) / (batches * len(test_x))
    print(json.dumps({
        "fit_s": fit_s, "fit_cpu_s": fit_cpu_s, "memory_mib": memory, "single_us": single * 1e6, "batch_us": batch * 1e6,
        "model_mib": len(pickle.dumps(model)) / (1 << 20), "quality": quality(asked.regression, test_y, answers),
    }))


def timed(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def quality(regression, truth, answers):
    if regression:
        return {"rmse": float(np.sqrt(np.mean((truth - answers) ** 2)))}
    from sklearn.metrics import accuracy_score, log_loss

    labels = range(answers.shape[1])
    return {
        "accuracy": accuracy_score(truth, answers.argmax(axis=1)),
        "log_loss": log_loss(truth, answers, labels=labels),
    }


if __name__ == "__main__":
    main()
