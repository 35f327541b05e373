"""Writes NannyML's bundled data, and what its CBPE makes of it, as tables for `performance.rs`.

Usage: python performance_peer.py FOLDER (with nannyml installed). Per data set DATA.csv (chunk, truth, answer and a probability
for each class, or none of a regression; chunk -1 is the reference) and DATA.peer.csv (chunk, metric, NannyML's estimate, its sampling error).
"""

import os
import sys
import warnings
from pathlib import Path

# It would report every use over the network.
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml as nml
import pandas as pd

warnings.filterwarnings("ignore")
CHUNK = 2_000


def tables(name):
    if name == "car_loan":
        reference, analysis, target = nml.load_synthetic_car_loan_dataset()
        return reference, analysis.merge(target, on="id"), "repaid", "y_pred_proba", "y_pred"
    if name == "california":
        reference, analysis, target = nml.load_modified_california_housing_dataset()
        return reference, analysis.merge(target, on="id"), "clf_target", "y_pred_proba", "y_pred"
    if name == "employment":
        reference, analysis, target = nml.load_us_census_ma_employment_data()
        return reference, analysis.merge(target, on="id"), "employed", "predicted_probability", "prediction"
    reference, analysis, target = nml.load_synthetic_multiclass_classification_dataset()
    names = sorted(reference["y_true"].unique())
    scores = {name: f"y_pred_proba_{name}" for name in names}
    return reference, analysis.merge(target, on="id"), "y_true", scores, "y_pred"


def main(folder, name):
    reference, analysis, truth, scores, answer = tables(name)
    several = isinstance(scores, dict)
    classes = sorted(scores) if several else [0, 1]
    rows = pd.concat([reference.assign(chunk=-1), analysis.assign(chunk=[i // CHUNK for i in range(len(analysis))])])
    rows = rows.dropna(subset=[truth])
    table = pd.DataFrame({"chunk": rows["chunk"]})
    table["truth"] = [classes.index(value) for value in rows[truth]]
    table["answer"] = [classes.index(value) for value in rows[answer]]
    for index, label in enumerate(classes):
        table[f"p{index}"] = rows[scores[label]] if several else (rows[scores] if index else 1 - rows[scores])
    table.to_csv(folder / f"{name}.csv", index=False)

    kind = "classification_multiclass" if several else "classification_binary"
    peer = nml.CBPE(
        y_pred_proba=scores, y_pred=answer, y_true=truth, problem_type=kind, metrics=["accuracy", "f1", "roc_auc"],
        chunk_size=CHUNK,
    )
    peer.fit(reference)
    # The columns of every metric, over chunks of whole rows; the last may be larger or smaller than in the table.
    estimated = peer.estimate(analysis.drop(columns=[truth])).filter(period="analysis").to_df()
    found = []
    for metric in ["accuracy", "f1", "roc_auc"]:
        for chunk, row in estimated[metric].reset_index(drop=True).iterrows():
            found.append((chunk, metric, row["value"], row["sampling_error"]))
    pd.DataFrame(found, columns=["chunk", "metric", "value", "error"]).to_csv(folder / f"{name}.peer.csv", index=False)


def regression(folder, name):
    """As `main`, with predictions of numbers and NannyML's direct loss estimation: a second model, trained on the features."""
    reference, analysis, target = nml.load_synthetic_car_price_dataset()
    # Both have their rows in the same order.
    analysis = analysis.assign(y_true=target["y_true"].to_numpy())
    rows = pd.concat([reference.assign(chunk=-1), analysis.assign(chunk=[i // CHUNK for i in range(len(analysis))])])
    rows[["chunk", "y_true", "y_pred"]].to_csv(folder / f"{name}.csv", index=False)
    peer = nml.DLE(
        feature_column_names=["car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"],
        y_pred="y_pred", y_true="y_true", metrics=["mae", "rmse"], chunk_size=CHUNK,
    )
    peer.fit(reference)
    estimated = peer.estimate(analysis.drop(columns=["y_true"])).filter(period="analysis").to_df()
    found = []
    for metric in ["mae", "rmse"]:
        for chunk, row in estimated[metric].reset_index(drop=True).iterrows():
            found.append((chunk, metric, row["value"], row["sampling_error"]))
    pd.DataFrame(found, columns=["chunk", "metric", "value", "error"]).to_csv(folder / f"{name}.peer.csv", index=False)


regression(Path(sys.argv[1]), "car_price")
for name in ["car_loan", "california", "employment", "three_classes"]:
    main(Path(sys.argv[1]), name)
    print(name, flush=True)
