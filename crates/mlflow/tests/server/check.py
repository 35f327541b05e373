"""MLflow's own client reads what the tests of `main.rs` mirrored, as a person in a notebook does.

    check.py TRACKING_URI

Numbers and texts are those of `fixture.rs`.
"""

import json
import math
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient

MODEL = bytes(n * n % 251 for n in range(300_000))
INPUTS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def check_run(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name("iris")
    runs = client.search_runs([experiment.experiment_id], "tags.`driftmill.cause` = 'drift of petal_length'")
    assert [run.info.run_name for run in runs] == ["iris-7"], runs
    run = runs[0]
    assert run.info.status == "FINISHED"
    assert run.data.params["n_estimators"] == "100"
    assert run.data.params["search.229"] == "229"
    assert run.data.params["max_depth"] == ""
    share = run.data.params["max features _share_"]
    assert len(share) == 6000 and share.endswith("ä…"), share[-5:]
    assert run.data.metrics["accuracy"] == 0.97
    assert run.data.metrics["f1 _setosa_"] == 1.0 and run.data.metrics["f1 _setosa_-2"] == 0.9
    assert math.isnan(run.data.metrics["nan"]) and run.data.metrics["infinite"] > 1e308
    history = client.get_metric_history(run.info.run_id, "loss")
    steps = [metric.value for metric in sorted(history, key=lambda metric: (metric.step, metric.timestamp))]
    assert steps == [1.0 / (step + 1.0) for step in range(2_500)] + [0.01]
    dataset = run.inputs.dataset_inputs[0]
    assert dataset.tags[0].value == "training"
    source = mlflow.data.get_source(dataset)
    assert source.to_dict() == {"uri": "s3://driftmill/snapshots/0123"}, source.to_dict()
    schema = mlflow.types.Schema.from_json(json.dumps(json.loads(dataset.dataset.schema)["mlflow_colspec"]))
    assert schema.input_names() == INPUTS
    with tempfile.TemporaryDirectory() as folder:
        log = client.download_artifacts(run.info.run_id, "logs/driftmill.log", folder)
        assert Path(log).read_text() == "training\ntrained\n"
    return run.info.run_id


def check_logged_model(client: MlflowClient, run_id: str) -> None:
    outputs = client.get_run(run_id).outputs.model_outputs
    assert len(outputs) == 1 and outputs[0].step == 2_499, outputs
    model = client.get_logged_model(outputs[0].model_id)
    assert str(model.status) == "READY" and model.source_run_id == run_id
    assert model.model_type == "random_forest"
    metrics = {metric.key: metric for metric in model.metrics}
    assert metrics["accuracy"].value == 0.97 and metrics["accuracy"].dataset_name == "iris"
    found = mlflow.search_logged_models(
        experiment_ids=[model.experiment_id], filter_string="metrics.accuracy > 0.9", output_format="list"
    )
    assert [found.model_id for found in found] == [model.model_id], found


def check_registry(client: MlflowClient, run_id: str) -> None:
    version = client.get_model_version_by_alias("iris", "champion")
    assert version.run_id == run_id and version.tags["driftmill.version"] == "7"
    assert version.status == "READY"
    assert "fleur-de-lis" in version.description
    info = mlflow.models.get_model_info("models:/iris@champion")
    assert list(info.flavors) == ["driftmill"] and info.flavors["driftmill"]["version"] == 7, info.flavors
    assert info.signature.inputs.input_names() == INPUTS
    assert info.signature.outputs.input_names() == ["species"]
    for address in ["models:/iris@champion", f"models:/iris/{version.version}"]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(mlflow.artifacts.download_artifacts(address, dst_path=folder))
            assert (path / "iris.dm").read_bytes() == MODEL
            assert (path / "MODEL_CARD.md").read_text().startswith("# iris, version 7")
            model = mlflow.models.Model.load(str(path))
            example = model.load_input_example(str(path))
            assert example.to_dict("list") == dict(zip(INPUTS, [[5.1], [3.5], [1.4], [0.2]], strict=True)), example
    refused = client.search_model_versions("name = 'loan'")
    assert [version.tags["driftmill.state"] for version in refused] == ["refused"]
    assert not client.get_registered_model("loan").aliases


def main() -> None:
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    run_id = check_run(client)
    check_logged_model(client, run_id)
    check_registry(client, run_id)
    print(f"MLflow {mlflow.__version__} reads the run, its metrics and its model as they were sent")


if __name__ == "__main__":
    main()
