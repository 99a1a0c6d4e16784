"""trecx compare and trecx search through the command line: once through, and wrong input."""

import json
import re
import shlex

import pytest
from click.testing import CliRunner

from trecx.cli import main

SMALL = "--data-option train=60 --data-option calibration=48 --data-option test=48"

WRONG = {
    # Not a classifier, unknown names
    "compare ad -o out": ["'ad' is no classification"],
    "search ad -o out": ["'ad' is no classification"],
    "compare kvs -o out": ["did you mean 'kws'"],
    "compare kws --methods sdm -o out": ["unknown method 'sdm'", "did you mean 'sdn'", "eenet"],
    "compare kws --methods , -o out": ["at least one method"],
    "compare kws --methods base -o out": ["at least one method beside the base"],
    "compare kws --policy hunch -o out": ["unknown exit policy 'hunch'", "class_gate, confidence"],
    "search kws --policy hunch -o out": ["unknown exit policy 'hunch'", "class_gate, confidence"],
    "search kws --recipe demoo -o out": ["demoo", "did you mean 'demo'"],
    "search kws --recipe base -o out": ["'base' has no exit to start the search from"],
    "search kws --recipe lost.json -o out": ["no recipe file lost.json"],
    # Places
    "search ic --at stack2_relu1 -o out": ["2 tensors cross", "stack1_relu", r"stem_relu \(4 %\)"],
    "search ic --at stack9_relu -o out": ["no feature map 'stack9_relu'", r"stem_relu \(4 %\)"],
    "search kws --at block2_relu --at pixels -o out": ["'pixels'", r"block1_relu \(34 %\)"],
    # Finished runs
    "compare kws nowhere -o out": ["nowhere holds no finished training run"],
    "compare kws a=nowhere -o out": ["nowhere holds no finished training run"],
    "compare kws nowhere --methods sdn -o out": ["finished runs are not trained"],
    "compare kws nowhere --epochs 3 -o out": ["finished runs are not trained"],
    # A user's own network
    "compare kws --model nowhere.keras -o out": ["no model file nowhere.keras"],
    "search kws --model notes.txt -o out": [r"\.keras or \.h5 file, got 'notes\.txt'"],
    # Budgets and options
    "search kws --max-accuracy-loss -1 -o out": ["0 points or above, got -1"],
    "search kws --max-macs 0 -o out": ["largest cost must be above 0"],
    "search kws --width 0 -o out": ["widths must be above 0"],
    "search kws --width nan -o out": ["widths must be above 0"],
    "compare kws --target toaster -o out": ["no board 'toaster'"],
    "search kws --loss-weight -1 -o out": ["loss weights must be above 0"],
    "search kws --rungs 2,x -o out": ["--rungs", "'2,x'"],
    "search kws --rungs 6,2 -o out": ["increasing numbers of epochs"],
    "search kws --keep 2 -o out": ["above 0 and at most 1, got 2"],
    "search kws --scheduler tcp://here:1 -o out": ["--scheduler goes with --engine dask"],
    "search kws": ["--out"],
    "compare kws": ["--out"],
    # Data
    "compare kws --data nowhere -o out": ["nowhere does not exist"],
    "search kws --data nowhere -o out": ["nowhere does not exist"],
}


@pytest.mark.parametrize(("line", "facts"), WRONG.items(), ids=WRONG)
def test_wrong_input_is_one_line_and_nothing_is_written(line, facts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no network")
    done = CliRunner().invoke(main, shlex.split(line))
    said = done.stderr.splitlines()
    assert len(said) == 1 and said[0].startswith("error: "), done.stderr
    for fact in facts:
        assert re.search(fact, said[0]), f"{fact!r} is not in: {said[0]}"
    assert (done.exit_code, done.stdout) == (2, "")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def invoke(line):
    done = CliRunner().invoke(main, shlex.split(line))
    assert done.exit_code == 0, done.output
    return done


def test_compare_trains_and_then_takes_its_runs(tmp_path):
    first = f"compare kws --recipe demo --epochs 1 --methods t-recx {SMALL} --quiet"
    done = invoke(f"{first} --policy class_gate -o {tmp_path / 'a'}")
    assert "Exit methods on kws" in done.stdout and "written: " in done.stdout
    runs = " ".join(str(tmp_path / "a" / "runs" / name) for name in ("base", "t-recx"))
    done = invoke(f"compare kws {runs} {SMALL} --policy class_gate --json -o {tmp_path / 'b'}")
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "a" / "comparison.json").read_text())
    assert [m["name"] for m in found["benefit"]["methods"]] == ["t-recx", "t-recx, class_gate"]
    assert "t-recx: test split ..." in done.stderr


def test_search_finds_a_recipe_that_can_be_trained(tmp_path):
    out = tmp_path / "found"
    choices = "--at block1_relu --width 0.25 --loss-weight 0.5 --rungs 1"
    line = f"search kws --recipe demo {choices} {SMALL}"
    done = invoke(f"{line} --json -o {out}")
    report = json.loads(done.stdout)
    assert report["rows"][report["choice"]]["title"].startswith("block1_relu: t-recx(channels=8")
    choice = json.loads((out / "choice.json").read_text())
    assert choice["exits"][0]["loss_weight"] == 0.5
    again = invoke(f"{line} -o {out} --quiet")  # nothing left to train
    assert "because it is" in again.stdout and str(out / "search.html") in again.stdout
    run = tmp_path / "run"
    trained = invoke(
        f"train kws --recipe {out / 'choice.json'} --epochs 1 {SMALL} -o {run} --quiet"
    )
    assert "trained on synthetic words" in trained.stdout
    assert json.loads((run / "run.json").read_text())["recipe"]["exits"] == choice["exits"]
