"""Compares Driftmill and ONNX Runtime on the same models and rows, both ways.

    check.py EXCHANGE WORK

EXCHANGE is the example `exchange` of crates/onnx, WORK a folder for models, rows and answers. Prints a table of the largest
difference of each model, relative to the value where that is above 1; exit status 1 when one is above 1e-6.
"""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto
from onnx.checker import check_model
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnx.numpy_helper import from_array
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, NotImplemented
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

LIMIT = 1e-6
ROWS = 500


def answers_of(path, feeds):
    """The labels, if it has any, and the numbers that ONNX Runtime answers."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    labels, numbers = None, None
    for output, value in zip(session.get_outputs(), session.run(None, feeds)):
        if output.name in ("label", "output_label"):
            labels = [str(label) for label in value]
        elif isinstance(value, list):
            numbers = np.array([list(row.values()) for row in value], dtype=np.float64)
        else:
            numbers = np.asarray(value, dtype=np.float64)
    return labels, numbers.reshape(len(numbers), -1)


def compare(ours, labels, theirs):
    """The largest difference, and how many labels differ where the best two classes are not as good as equal."""
    outputs = np.array(ours["outputs"], dtype=np.float64)
    difference = np.max(np.abs(outputs - theirs) / np.maximum(1.0, np.abs(outputs)))
    wrong = 0
    if labels is not None:
        best = np.sort(outputs, axis=1)
        clear = best[:, -1] - best[:, -2] > LIMIT if outputs.shape[1] > 1 else np.ones(len(outputs), bool)
        mine = [ours["classes"][place] for place in outputs.argmax(axis=1)]
        wrong = sum(a != b for a, b, sure in zip(mine, labels, clear) if sure)
    return difference, wrong


def numbers_of(rows):
    return np.array([[np.nan if cell is None else cell for cell in row] for row in rows], dtype=np.float64)


def exported(exchange, work):
    subprocess.run([exchange, str(work)], check=True)
    for folder in sorted(work.iterdir()):
        check_model(str(folder / "model.onnx"))
        rows = json.loads((folder / "rows.json").read_text())
        feeds = {"input": numbers_of(rows["rows"])}
        for name, texts in rows["texts"].items():
            # "" is a category of its own here, so a missing one is any text that is not known.
            column = ["never seen" if text is None else text for text in texts]
            feeds[name] = np.array(column, dtype=object).reshape(-1, 1)
        ours = json.loads((folder / "answers.json").read_text())
        yield folder.name, ours["algorithm"], *compare(ours, *answers_of(folder / "model.onnx", feeds))


def models():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(ROWS, 5)) * [1, 1, 100, 1, 1e4] + [0, 5, 2000, 0, 0]
    rows[:, 3] = rng.integers(0, 6, ROWS)
    full = rows.astype(np.float32).astype(np.float64)
    gaps = full.copy()
    gaps[rng.random(gaps.shape) < 0.1] = np.nan
    signal = full[:, 0] * 2 + (full[:, 1] - 5) ** 2 + full[:, 2] / 100 + (full[:, 3] == 2) * 3
    two = np.where(signal > np.median(signal), "yes", "no")
    four = np.digitize(signal, np.quantile(signal, [0.25, 0.5, 0.75])) + 10
    # Models are fitted to 32-bit floats, and asked for rows that are none: a 32-bit graph rounds them.
    for zipped in (True, False):
        yield "RandomForestClassifier, 2", RandomForestClassifier(50, random_state=1), full, two, zipped
        yield "RandomForestClassifier, 4", RandomForestClassifier(50, random_state=1), full, four, zipped
        yield "LogisticRegression, 2", make_pipeline(StandardScaler(), LogisticRegression()), full, two, zipped
        yield "LogisticRegression, 4", make_pipeline(StandardScaler(), LogisticRegression()), full, four, zipped
    yield "ExtraTreesClassifier", ExtraTreesClassifier(30, max_depth=8, random_state=1), full, four, False
    yield "DecisionTreeClassifier", DecisionTreeClassifier(max_depth=6, random_state=1), full, four, False
    yield "DecisionTreeRegressor", DecisionTreeRegressor(max_depth=8, random_state=1), full, signal, False
    yield "RandomForestRegressor", RandomForestRegressor(50, random_state=1), full, signal, False
    yield "GradientBoostingClassifier, 2", GradientBoostingClassifier(n_estimators=40, random_state=1), full, two, False
    yield "GradientBoostingClassifier, 4", GradientBoostingClassifier(n_estimators=40, random_state=1), full, four, False
    yield "GradientBoostingRegressor", GradientBoostingRegressor(n_estimators=40, random_state=1), full, signal, False
    yield "HistGradientBoostingClassifier, 2", HistGradientBoostingClassifier(max_iter=40), gaps, two, False
    yield "HistGradientBoostingClassifier, 4", HistGradientBoostingClassifier(max_iter=40), gaps, four, False
    yield "HistGradientBoostingRegressor", HistGradientBoostingRegressor(max_iter=40), gaps, signal, False
    for scaler in (StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()):
        name = type(scaler).__name__
        forest = RandomForestClassifier(30, random_state=1)
        yield f"{name}, RandomForestClassifier", make_pipeline(SimpleImputer(), scaler, forest), gaps, four, False
        yield f"{name}, Ridge", make_pipeline(SimpleImputer(strategy="median"), scaler, Ridge()), gaps, signal, False
    yield "LinearRegression", LinearRegression(), full, signal, False
    yield "Lasso", make_pipeline(StandardScaler(), Lasso(alpha=0.1)), full, signal, False
    yield "ElasticNet", make_pipeline(StandardScaler(), ElasticNet(alpha=0.1)), full, signal, False
    yield "LinearSVC", LinearSVC(), full, four, None
    for norm in ("l1", "l2"):
        yield f"Normalizer {norm}, Ridge", make_pipeline(Normalizer(norm), Ridge()), full, signal, None
        forest = RandomForestClassifier(10, random_state=1)
        yield f"Normalizer {norm}, RandomForestClassifier", make_pipeline(Normalizer(norm), forest), full, four, None


def drawn():
    """Graphs that skl2onnx does not write, over 5 columns: each may be refused, but not be answered differently."""
    rng = np.random.default_rng(7)
    ml = "ai.onnx.ml"
    coefficients = (rng.normal(size=15) * np.tile([1, 0.1, 1e-3, 0.1, 1e-5], 3)).tolist()
    scores = make_node("LinearRegressor", ["input"], ["scores"], domain=ml, coefficients=coefficients, targets=3)
    constants = [
        from_array(np.array([1], np.int64), "columns"),
        from_array(np.array([0], np.int64), "rows"),
        from_array(rng.normal(size=(3, 3)).astype(np.float32), "matrix"),
        from_array(rng.normal(size=(3, 1)).astype(np.float32), "vector"),
    ]
    l1 = make_node("Normalizer", ["scores"], ["shares"], domain=ml, norm="L1")
    sums = [
        make_node("Abs", ["scores"], ["sizes"]),
        make_node("ReduceSum", ["sizes", "columns"], ["sums"]),
        make_node("Div", ["scores", "sums"], ["shares"]),
    ]
    signed = [make_node("ReduceSum", ["scores", "columns"], ["sums"]), make_node("Div", ["scores", "sums"], ["shares"])]
    softmax = make_node("Softmax", ["scores"], ["probabilities"])
    to_probabilities = make_node("Softmax", ["shares"], ["out"])
    to_values = make_node("MatMul", ["shares", "vector"], ["out"])
    yield "Normalizer L1, Softmax", 3, [scores, l1, to_probabilities], constants
    yield "Normalizer L1, MatMul", 1, [scores, l1, to_values], constants
    yield "ReduceSum of sizes, Div, MatMul", 1, [scores, *sums, to_values], constants
    yield "ReduceSum, Div, Softmax", 3, [scores, *signed, to_probabilities], constants
    yield "Softmax, Normalizer L1", 3, [
        scores,
        softmax,
        make_node("Normalizer", ["probabilities"], ["out"], domain=ml, norm="L1"),
    ], constants
    for axis in ("columns", "rows"):
        yield f"Softmax, ReduceSum of {axis}, Div", 3, [
            scores,
            softmax,
            make_node("ReduceSum", ["probabilities", axis], ["sums"]),
            make_node("Div", ["probabilities", "sums"], ["out"]),
        ], constants


def graph_of(width, nodes, constants):
    value = lambda name, columns: make_tensor_value_info(name, TensorProto.FLOAT, [None, columns])
    graph = make_graph(nodes, "drawn", [value("input", 5)], [value("out", width)], constants)
    opsets = [make_opsetid("", 15), make_opsetid("ai.onnx.ml", 3)]
    return make_model(graph, opset_imports=opsets, ir_version=8)


def at_thresholds(model, rows):
    """The rows, some with a value that is a threshold of a tree, or next to one; of a scaled model, close to one."""
    rows = rows.copy()
    *steps, last = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    if not hasattr(last, "estimators_"):
        return rows
    trees = [tree.tree_ for tree in np.ravel(last.estimators_)]
    splits = [(f, t) for tree in trees for f, t in zip(tree.feature, tree.threshold) if f >= 0]
    for row, (feature, threshold) in enumerate(splits[: len(rows) // 2]):
        back = np.zeros((1, rows.shape[1]))
        back[0, feature] = threshold
        for step in reversed(steps):
            back = step.inverse_transform(back) if hasattr(step, "scale_") else back
        near = np.float32(back[0, feature])
        rows[row, feature] = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, -np.float32(np.inf))][row % 3]
    return rows


def imported(exchange, work):
    cases = {}
    rng = np.random.default_rng(5)
    for precision, kind in (("float", FloatTensorType), ("double", DoubleTensorType)):
        for name, model, rows, target, zipped in models():
            title = f"{name}, {precision}" + (", ZipMap" if zipped else "")
            if precision == "double" and (zipped or "SimpleImputer" in str(model)):
                # ONNX Runtime has no ZipMap and no Imputer of 64-bit floats.
                continue
            model.fit(rows, target)
            classifies = hasattr(model, "classes_")
            options = {"zipmap": zipped} if classifies and zipped is not None else None
            try:
                graph = convert_sklearn(
                    model, initial_types=[("input", kind([None, rows.shape[1]]))], options=options, target_opset=15
                )
            except NotImplementedError:
                # skl2onnx has no such model of 64-bit floats.
                continue
            folder = work / title
            folder.mkdir()
            (folder / "model.onnx").write_bytes(graph.SerializeToString())
            asked = at_thresholds(model, rows)
            half = len(rows) // 2
            asked[half:] += asked[half:] * rng.normal(size=asked[half:].shape) * 1e-9
            cells = [[None if np.isnan(cell) else cell for cell in row] for row in asked.tolist()]
            (folder / "rows.json").write_text(json.dumps({"rows": cells}))
            cases[title] = (asked.astype(np.float32 if precision == "float" else np.float64), zipped is None)
    full = next(models())[2]
    for title, width, nodes, constants in drawn():
        folder = work / title
        folder.mkdir()
        (folder / "model.onnx").write_bytes(graph_of(width, nodes, constants).SerializeToString())
        (folder / "rows.json").write_text(json.dumps({"rows": full.tolist()}))
        cases[title] = (full.astype(np.float32), True)
    subprocess.run([exchange, "--import", str(work)], check=True)
    for title, (asked, refusable) in cases.items():
        folder = work / title
        ours = json.loads((folder / "answers.json").read_text())
        if "refused" in ours:
            yield title, f"refused: {ours['refused']}", 0.0 if refusable else np.inf, 0
            continue
        try:
            answers = answers_of(folder / "model.onnx", {"input": asked})
        except (Fail, InvalidGraph, NotImplemented):
            # skl2onnx writes graphs of 64-bit floats that mix them with 32-bit ones.
            yield title, "not loaded by ONNX Runtime", 0.0 if title.endswith("double") else np.inf, 0
            continue
        yield title, ours["algorithm"], *compare(ours, *answers)


def main():
    warnings.filterwarnings("ignore")
    exchange, work = sys.argv[1], Path(sys.argv[2])
    failed = False
    for heading, name, check in (("Exported", "exported", exported), ("Imported", "imported", imported)):
        (work / name).mkdir(parents=True)
        print(f"{heading:58} {'as':20} {'difference':>10} {'labels':>6}")
        for title, algorithm, difference, wrong in check(exchange, work / name):
            fault = not difference <= LIMIT or wrong > 0
            failed |= fault
            if algorithm.startswith(("refused", "not")):
                print(f"{title:58} {algorithm}{'  <- wrong' if fault else ''}")
            else:
                print(f"{title:58} {algorithm:20} {difference:10.1e} {wrong:6}{'  <- differs' if fault else ''}")
        print()
    sys.exit(1 if failed else 0)


main()
