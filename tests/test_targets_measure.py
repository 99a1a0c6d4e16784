"""trecx measure: base network against early exit, board by board."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from trecx import pipeline
from trecx.cli import main
from trecx.errors import CapacityError, InputError, VerificationError
from trecx.stages import boards_measuring
from trecx.stages.chain import load_chain
from trecx.stages.data import DataChoice
from trecx.stages.outputs import run_chain
from trecx.stages.samples import choose_samples
from trecx.targets.presets import load_preset

DATA = DataChoice(options={"train": 12, "calibration": 24, "test": 12})
M4, M55 = "mps2-an386", "mps3-an547"


@pytest.fixture(scope="module")
def bundle(kws_bundle, tmp_path_factory):
    """A bundle whose exit about half of the test samples take."""
    path = shutil.copytree(kws_bundle, tmp_path_factory.mktemp("measured") / "kws.bundle")
    chain = load_chain(path)
    x = choose_samples(chain, None, None, DATA, None).x
    early = run_chain(chain.graphs, x)[0].max(axis=1)
    manifest = json.loads((path / "manifest.json").read_text())
    (policy,) = manifest["policies"]
    policy["thresholds"] = [int(np.median(early))] * len(policy["thresholds"])
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


@pytest.fixture(scope="module")
def measured(bundle):
    return pipeline.measure(bundle, boards=(M4, M55), data=DATA)


def spread_of(row):
    return (row.mean, row.p50, row.p95, row.worst)


def test_counts_are_those_of_run_and_profile(bundle, measured):
    first = measured.boards[0]
    run = pipeline.run(bundle, M4, data=DATA, oracle=None)
    assert spread_of(first.early_exit.instructions) == spread_of(run.instructions[-1])
    assert measured.exit_rates == run.exit_rates and measured.accuracy[1] == run.accuracy
    assert measured.samples == run.samples and 0 < run.exit_rates[0] < 1
    profile = pipeline.profile(bundle, M4, data=DATA, base=True)
    assert spread_of(first.base.instructions) == spread_of(profile.base.paths[-1])
    assert first.saved == pytest.approx(1 - profile.network.mean / profile.base.mean)


def test_time_and_energy_are_the_cycle_models(bundle, measured):
    """From a few samples of each path, what the profile of all of them gives."""
    preset = load_preset("l4r5")
    profile = pipeline.profile(bundle, M4, data=DATA, preset="l4r5", base=True)
    pairs = zip(measured.boards[0].networks, (profile.base, profile.network), strict=True)
    for network, profiled in pairs:
        found = next(t for t in network.times if t.board == preset.title)
        for mine, other in (
            (found.mean_milliseconds, profiled.time.milliseconds),
            (found.mean_microjoules, profiled.time.microjoules),
        ):
            assert dataclasses.astuple(mine) == pytest.approx(dataclasses.astuple(other), rel=2e-3)
            assert mine.low < mine.nominal < mine.high
        assert found.milliseconds.mean == pytest.approx(found.mean_milliseconds.nominal)
        assert found.microjoules.mean == pytest.approx(found.mean_microjoules.nominal)
        assert found.milliseconds.p50 <= found.milliseconds.p95 <= found.milliseconds.worst


def test_a_board_without_published_energy_has_time_alone(measured):
    (time,) = measured.boards[1].early_exit.times
    assert time.microjoules is None and time.mean_microjoules is None
    assert time.board.endswith("memory without wait states")


def test_reports_name_every_board_and_say_what_is_estimated(bundle, tmp_path):
    page = tmp_path / "page.html"
    words = ["measure", bundle, "--board", M4, "--samples", 4, "--quiet", "--html", page]
    words += ["--data-option=train=12", "--data-option=calibration=24", "--data-option=test=12"]
    shown = CliRunner().invoke(main, [str(w) for w in words])
    assert shown.exit_code == 0, shown.output
    for text in (M4, "NUCLEO-L4R5ZI", "nRF52840", "estimated", "p95", "worst", "saved"):
        assert text in shown.stdout
    assert "<svg" in page.read_text() and "synthetic" in page.read_text()
    done = CliRunner().invoke(main, [str(w) for w in words] + ["--json"])
    entry = json.loads(done.stdout)["boards"][0]
    assert entry["board"] == M4 and 0 < entry["saved"] < 1
    assert entry["base"]["instructions"]["mean"] > entry["early_exit"]["instructions"]["mean"]


def test_board_that_is_too_small_is_listed_or_refused(ic_bundle, monkeypatch):
    with pytest.raises(CapacityError, match="board microbit has 16,384"):
        pipeline.measure(ic_bundle, boards=("microbit",), data=DATA, limit=2)
    boards = boards_measuring.emulated_boards(("microbit", M55))
    monkeypatch.setattr(boards_measuring, "emulated_boards", lambda names: boards)
    found = pipeline.measure(ic_bundle, data=DATA, limit=2)
    assert [board.board for board in found.boards] == [M55]
    assert found.unfit[0].board == "microbit" and "16,384" in found.unfit[0].reason


def test_other_outputs_on_another_board_are_an_error(bundle, monkeypatch):
    run_batch = boards_measuring.run_batch

    def wrong_on_m55(firmware, board, x, **options):
        result = run_batch(firmware, board, x, **options)
        if board.name == M55:
            result.outputs[1, 2] ^= 1
        return result

    monkeypatch.setattr(boards_measuring, "run_batch", wrong_on_m55)
    with pytest.raises(VerificationError, match=f"on {M55} differ from those on {M4}"):
        pipeline.measure(bundle, boards=(M4, M55), data=DATA, limit=2)


def test_base_network_may_come_from_a_file(bundle, measured, tmp_path):
    bare = shutil.copytree(bundle, tmp_path / "bare.bundle")
    manifest = json.loads((bare / "manifest.json").read_text())
    manifest["base"] = None
    (bare / "manifest.json").write_text(json.dumps(manifest))
    base = (bare / "base.tflite").rename(tmp_path / "base.tflite")
    with pytest.raises(InputError, match=r"no base network .* give --base"):
        pipeline.measure(bare, boards=(M4,), data=DATA)
    found = pipeline.measure(bare, base=base, boards=(M4,), data=DATA)
    assert found.boards[0].base.instructions == measured.boards[0].base.instructions
    assert found.accuracy == measured.accuracy


def test_wrong_arguments_are_refused(bundle, ic_bundle):
    with pytest.raises(InputError, match=r"base network must have no exits.* has 1 exits"):
        pipeline.measure(bundle, base=bundle, data=DATA)
    with pytest.raises(InputError, match=r"input shape \(49, 10, 1\).*input shape \(32, 32, 3\)"):
        pipeline.measure(bundle, base=ic_bundle / "base.tflite", data=DATA)
    with pytest.raises(InputError, match="did you mean 'mps2-an386'"):
        pipeline.measure(bundle, boards=("mps2-386",), data=DATA)
    with pytest.raises(InputError, match="the host has no counter"):
        pipeline.measure(bundle, boards=("host",), data=DATA)
