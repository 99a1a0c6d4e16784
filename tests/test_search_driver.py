"""The search without training: places, grid, fronts, rungs, engines, resuming, the report."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.chain_outputs import chain_outputs
from trecx.errors import BudgetError, InputError, ToolMissingError
from trecx.policies import Budget, PathCosts
from trecx.reports.text import to_text
from trecx.search import (
    Candidate,
    DaskEngine,
    Outcome,
    ProcessEngine,
    SerialEngine,
    Settings,
    Trial,
    grid,
    measure,
    run_search,
    scaled,
)
from trecx.search.pareto import front, ranked, recommended
from trecx.stages.searching import search_report

PLACES = ("a", "b", "c", "d")
CANDIDATES = grid(PLACES, [("t-recx", {"channels": 16}), ("t-recx", {"channels": 32})])


def made_up(trial: Trial) -> Outcome:
    """Deeper exits and wider heads are more accurate and dearer; place d is not possible."""
    (spec,) = trial.candidate.exits
    depth, channels = PLACES.index(spec.at), spec.options["channels"]
    if spec.at == "d":
        return Outcome(trial, error="no such place")
    return Outcome(
        trial,
        accuracy=0.80 + 0.01 * depth + 0.001 * trial.epochs + (0.004 if channels == 32 else 0),
        cost=0.60 + 0.1 * depth + (0.02 if channels == 32 else 0),
        exit_rates=(0.5, 0.5),
        segment_accuracy=(0.7, 0.85),
        path_costs=(0.4, 1.05),
        parameters_added=channels * 10,
    )


def outcome(accuracy: float, cost: float) -> Outcome:
    return Outcome(Trial(CANDIDATES[0], 1), accuracy, cost)


def test_grid_is_the_product_without_repeats():
    weights = [0.3, 0.5, 0.5]
    found = grid(["a", "b"], [("t-recx", {})], weights, [(None, {}), ("early-view", {"stride": 2})])
    assert len(found) == 8 and len({c.key for c in found}) == 8
    with pytest.raises(InputError, match="search space is empty"):
        grid([], [("t-recx", {})])


def test_grid_combines_places_for_several_exits():
    found = grid(["a", "b", "c"], [("pool", {})], most_exits=2)
    assert [[spec.at for spec in c.exits] for c in found] == [
        *(["a"], ["b"], ["c"]),
        *(["a", "b"], ["a", "c"], ["b", "c"]),
    ]
    with pytest.raises(InputError, match="at least one exit, got 0"):
        grid(["a"], [("pool", {})], most_exits=0)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"channels": 32, "pool": 4}, {"channels": 16, "pool": 4}),
        ({"convs": [16, 5]}, {"convs": [8, 2]}),
        ({"blocks": [("full", 32, 2), ("separable", 1, 1)]}, None),
        ({"side": 4}, {"side": 4}),
    ],
)
def test_a_head_is_scaled_by_its_channels(options, expected):
    found = scaled(options, 0.5)
    assert found == (expected or {"blocks": [["full", 16, 2], ["separable", 1, 1]]})


def test_candidate_keys_depend_on_content_only():
    (one,) = grid(["a"], [("t-recx", {"channels": 16, "pool": 4})])
    (same,) = grid(["a"], [("t-recx", {"pool": 4, "channels": 16})])
    assert one.key == same.key and Candidate.from_json(one.to_json()) == one


def test_front_keeps_what_nothing_dominates():
    good = [outcome(0.90, 0.9), outcome(0.85, 0.6), outcome(0.80, 0.5)]
    bad = [outcome(0.84, 0.7), outcome(0.80, 0.55)]
    assert front([*bad, *good]) == good[::-1]
    assert ranked([*bad, *good])[3:] == [bad[1], bad[0]]
    assert recommended([*bad, *good], 0.0) is good[0]
    assert recommended([*bad, *good], 5.0) is good[1]
    assert recommended([], 1.0) is None
    assert recommended([*bad, *good], None) is good[0]  # within a cost, the most accurate


@pytest.mark.parametrize(
    "engine",
    [SerialEngine(), ProcessEngine(2), DaskEngine(workers=2)],
    ids=["serial", "pool", "dask"],
)
def test_every_engine_gives_the_same_search(engine, tmp_path):
    settings = Settings(rungs=(1, 3), keep=0.5)
    result = run_search(CANDIDATES, made_up, tmp_path, settings, engine)
    first = [o for o in result.outcomes if o.trial.epochs == 1]
    assert [o.trial.candidate for o in first] == CANDIDATES
    assert sum(o.error is not None for o in first) == 2
    assert len(result.final) == 3 and all(o.trial.epochs == 3 for o in result.final)
    assert result.choice in result.front
    expected = run_search(CANDIDATES, made_up, tmp_path / "again", settings)
    assert result.outcomes == expected.outcomes


def test_an_interrupted_search_goes_on_where_it_stopped(tmp_path):
    settings = Settings(rungs=(1, 2))
    ran = []

    def interrupted(trial):
        if len(ran) == 5:
            raise KeyboardInterrupt
        ran.append(trial.key)
        return made_up(trial)

    with pytest.raises(KeyboardInterrupt):
        run_search(CANDIDATES, interrupted, tmp_path, settings)
    ran_before = list(ran)
    ran.clear()

    def counted(trial):
        ran.append(trial.key)
        return made_up(trial)

    seen = []
    result = run_search(
        CANDIDATES, counted, tmp_path, settings, progress=lambda *done: seen.append(done[:2])
    )
    assert len(ran_before) == 5 and not set(ran) & set(ran_before)
    assert seen[:3] == [(6, 8), (7, 8), (8, 8)]
    assert result.outcomes == run_search(CANDIDATES, made_up, tmp_path / "x", settings).outcomes
    run_search(CANDIDATES, interrupted, tmp_path, settings)  # nothing left to run


def test_a_folder_belongs_to_one_search(tmp_path):
    run_search(CANDIDATES[:2], made_up, tmp_path, Settings(rungs=(1,)))
    with pytest.raises(InputError, match=r"other settings .candidates differ"):
        run_search(CANDIDATES[:3], made_up, tmp_path, Settings(rungs=(1,)))
    with pytest.raises(InputError, match=r"other settings .max_accuracy_loss, rungs differ"):
        run_search(CANDIDATES[:2], made_up, tmp_path, Settings((1, 2), max_accuracy_loss=2.0))


def test_a_damaged_trial_file_is_named(tmp_path):
    run_search(CANDIDATES[:2], made_up, tmp_path, Settings(rungs=(1,)))
    file = tmp_path / "trials" / f"{Trial(CANDIDATES[0], 1).key}.json"
    file.write_text("{")
    with pytest.raises(InputError, match=r"is no finished trial: .*; delete it to repeat"):
        run_search(CANDIDATES[:2], made_up, tmp_path, Settings(rungs=(1,)))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rungs": ()}, "increasing numbers of epochs"),
        ({"rungs": (3, 2)}, "increasing numbers of epochs"),
        ({"keep": 0}, "above 0 and at most 1"),
        ({"max_accuracy_loss": -1.0}, "must be 0 points or above, got -1.0"),
        ({"max_accuracy_loss": None}, "a budget needs"),
        ({"max_cost": 0.0}, "largest cost must be above 0"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Settings(**options)
    with pytest.raises(InputError, match="at least one worker"):
        ProcessEngine(0)


KILLED = """
import os, sys, time
from pathlib import Path
from trecx.search import ProcessEngine

def wait(file):
    Path(file).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    list(ProcessEngine(1).run(wait, [sys.argv[1]]))
"""


def test_no_worker_outlives_a_killed_search(tmp_path):
    script, file = tmp_path / "search.py", tmp_path / "pid"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, script, file], env=environment) as search:
        assert wait_for(lambda: file.exists() and file.read_text())
        search.kill()
    worker = int(file.read_text())
    assert wait_for(lambda: not Path(f"/proc/{worker}").exists())


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return met


def test_a_missing_engine_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ToolMissingError, match="pip install distributed"):
        list(DaskEngine().run(made_up, []))


def test_measure_chooses_on_one_half_and_reports_the_other():
    data = chain_outputs(4000, 1)
    costs = PathCosts((45.0, 104.0), base=100.0)
    figures = measure(data, costs, Budget(1.0))
    assert figures["path_costs"] == (0.45, 1.04)
    rate = figures["exit_rates"][0]
    assert 0.1 < rate < 0.9
    assert figures["cost"] == pytest.approx(0.45 * rate + 1.04 * (1 - rate))
    assert figures["segment_accuracy"][1] - figures["accuracy"] < 0.03
    dearer = measure(data, costs, Budget(0.0))
    assert dearer["cost"] > figures["cost"]
    cheap = measure(data, costs, Budget(max_cost=60.0))
    assert cheap["cost"] == pytest.approx(0.6, abs=0.02)
    assert cheap["accuracy"] < figures["accuracy"]
    with pytest.raises(BudgetError, match="the nearest is 45"):
        measure(data, costs, Budget(max_cost=40.0))


def test_report_shows_every_trial_and_explains_the_choice(tmp_path):
    result = run_search(CANDIDATES, made_up, tmp_path, Settings(rungs=(1, 3)))
    report = search_report(result, "resnet8", "blobs", synthetic=True)
    places = [row.place for row in report.rows]
    assert places.count("failed") == 2 and places.count("dropped") == 6
    assert places.count("front") == len(result.front)
    text = to_text(report.document())
    assert "because it is" in text and "no such place" in text and "synthetic" in text
    on_front = sorted(row.cost for row in report.rows if row.place == "front")
    neighbours = ("next cheaper", "next dearer")
    at = on_front.index(report.rows[report.choice].cost)
    assert [n in text for n in neighbours] == [at > 0, at + 1 < len(on_front)]
    assert sum(n in text for n in neighbours) > 0
    assert report.rows[report.choice].title == result.choice.trial.candidate.title
    json.dumps(report.to_json(), allow_nan=False)
    assert "<svg" in report.svg()


def test_report_of_a_search_that_failed_altogether(tmp_path):
    failing = [c for c in CANDIDATES if c.exits[0].at == "d"]
    result = run_search(failing, made_up, tmp_path, Settings(rungs=(1, 3)))
    report = search_report(result, "resnet8", "blobs", synthetic=False)
    assert report.choice is None and "no trial worked" in to_text(report.document())


def test_outcomes_survive_json():
    kept = made_up(Trial(CANDIDATES[1], 3, seed=4))
    assert Outcome.from_json(json.loads(json.dumps(kept.to_json()))) == kept
    failed = dataclasses.replace(kept, error="it broke")
    assert Outcome.from_json(json.loads(json.dumps(failed.to_json()))) == failed
