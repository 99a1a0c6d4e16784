"""The search with Keras: where ResNet-8 and DS-CNN can be cut, and one trained trial."""

import pytest

from trecx.search import Settings, Trial, exit_places, grid, run_search
from trecx.stages.searching import TrainTrial, search_report


@pytest.fixture(scope="module")
def resnet():
    from mlperf_tiny.models.resnet8 import build

    return build(10)


def places_of(model):
    from trecx.exits.cost import tensor_macs

    return {place.layer: place for place in exit_places(model, tensor_macs)}


def test_resnet_can_be_cut_between_its_stacks_only(resnet):
    places = places_of(resnet)
    good = [name for name, place in places.items() if place.reason_against is None]
    assert good == ["stem_relu", "stack1_relu", "stack2_relu", "stack3_relu", "pool"]
    assert places["stack1_relu"].cost == pytest.approx(5_160_960 / 12_501_632)
    assert places["stack1_relu"].output_shape == (32, 32, 16)


def test_inside_a_stack_the_other_tensor_is_named(resnet):
    place = places_of(resnet)["stack2_relu1"]
    assert place.reason_against == (
        "2 tensors cross: the rest also needs the output of stack1_relu"
    )


def test_a_straight_network_can_be_cut_after_every_fused_layer():
    from mlperf_tiny.models.ds_cnn import build

    places = places_of(build(12))
    assert all(place.reason_against is None for place in places.values())
    assert "block2_relu" in places and not any(name.endswith("_bn") for name in places)


def test_a_trial_trains_measures_and_resumes(tmp_path):
    train = TrainTrial(
        "kws",
        "demo",
        str(tmp_path),
        "synthetic",
        data_options={"train": 200, "calibration": 120, "test": 10},
        max_accuracy_loss=5.0,
    )
    options = {"channels": 8, "project": False, "kernel": 3, "stride": 2, "pool": 2}
    candidates = grid(["block2_relu"], [("t-recx", options)])
    candidates += grid(["nowhere"], [("t-recx", options)])
    result = run_search(candidates, train, tmp_path, Settings(rungs=(1,), max_accuracy_loss=5.0))
    worked, failed = result.outcomes
    assert worked.error is None and 0 < worked.accuracy <= 1
    assert worked.path_costs[0] == pytest.approx(0.562, abs=0.005)
    assert worked.parameters_added == 8 * 10 + (6 * 1 * 8 + 1) * 12
    assert "no layer 'nowhere'" in failed.error
    log = tmp_path / "runs" / worked.trial.key / "log.csv"
    written = log.stat().st_mtime_ns
    assert train(Trial(candidates[0], 1)).accuracy == worked.accuracy
    assert log.stat().st_mtime_ns == written  # no epoch was trained again
    report = search_report(result, "kws", "synthetic words", synthetic=True)
    assert report.rows[report.choice].place == "front"
