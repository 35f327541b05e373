"""Classification of products by scikit-learn, on the folds of the example `products` and beside what it predicted.

    products_peer.py FOLDER FOLDS

FOLDER holds X_train.csv, FOLDS is the file that the example wrote. TF-IDF of words or characters and a linear support
vector machine, with the HTML kept and stripped. Intervals (95 %) draw whole products, 2,000 times, the same ones for
everybody. Needs numpy and scikit-learn; benches/models/peers/requirements.txt has their versions.
"""

import csv
import html
import json
import re
import sys
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

ROUNDS = 2_000
SEED = 42
ANALYZERS = {"words, pairs": ("word", (1, 2)), "characters in words": ("char_wb", (2, 5)), "characters": ("char", (2, 5))}


def main(folder, folds):
    told = json.loads(Path(folds).read_text())
    labels, groups = np.array(told["labels"]), np.array(told["groups"])
    with open(Path(folder) / "X_train.csv", newline="", encoding="utf-8") as file:
        texts = [f"{row['designation']}. {row['description']}" for row in csv.DictReader(file)]
    if len(texts) != len(labels):
        raise SystemExit(f"{len(texts)} texts, but {len(labels)} labels in {folds}: run the example on this folder first")
    draws = drawn(groups)

    def f1(predicted, rows=slice(None)):
        return f1_score(labels[rows], predicted[rows], average="weighted")

    def measured(predicted):
        """Weighted F1 of all rows, and of each draw."""
        return np.array([f1(predicted), *(f1(predicted, rows) for rows in draws)])

    ours = {name: measured(np.array(predicted)) for name, predicted in sorted(told["predicted"].items())}
    for name, scores in ours.items():
        print(f"ours, {name}: weighted F1 {interval(scores)}")
    for markup, of in {"HTML kept": texts, "HTML stripped": [stripped(text) for text in texts]}.items():
        for name, (analyzer, ngrams) in ANALYZERS.items():
            for weights in (None, "balanced"):
                model = make_pipeline(
                    TfidfVectorizer(analyzer=analyzer, ngram_range=ngrams, sublinear_tf=True),
                    LinearSVC(class_weight=weights, random_state=SEED),
                )
                scores = measured(held_out(model, of, labels, told["in_turn"]))
                others = np.mean([f1(held_out(model, of, labels, splits)) for splits in told["others"]])
                print(f"\n{name}, {markup}, class weights {weights}: weighted F1 {interval(scores)}, other folds {others:.4f}")
                for our_name, our_scores in ours.items():
                    print(f"  our {our_name} - this: {interval(our_scores - scores)}", flush=True)


def interval(scores):
    lower, upper = np.quantile(scores[1:], [0.025, 0.975])
    return f"{scores[0]:+.4f} [{lower:+.4f}, {upper:+.4f}]"


def stripped(text):
    return html.unescape(re.sub(r"<[^>]*>", " ", text))


def held_out(model, texts, labels, splits):
    predicted = np.zeros_like(labels)
    for test in splits:
        train = np.setdiff1d(np.arange(len(labels)), test)
        model.fit([texts[row] for row in train], labels[train])
        predicted[test] = model.predict([texts[row] for row in test])
    return predicted


def drawn(groups):
    """Rows of as many products as there are, drawn with replacement."""
    generator = np.random.default_rng(SEED)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    return [np.concatenate([members[at] for at in generator.integers(len(members), size=len(members))]) for _ in range(ROUNDS)]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
