"""The choice of data: --strict, from the command line to any source, and the choice as options."""

import shlex

import pytest

from mlperf_tiny.datasets.bad_files import DataWarning
from tests.support.speech_tree import speech_tree
from trecx.cli.main import main
from trecx.errors import DataError, InputError
from trecx.stages.data import DataChoice
from trecx.task import find_task


@pytest.fixture
def tree(tmp_path):
    folder = speech_tree(tmp_path / "words")
    (folder / "up/bob_nohash_1.wav").write_bytes(b"RIFF")
    return folder


def test_an_unusable_file_is_skipped_or_stops_the_work(tree):
    kws, options = find_task("kws"), {"cache": None}
    with pytest.warns(DataWarning, match="skipped 1 of"):
        DataChoice(tree, options=options).load(kws)
    with pytest.raises(DataError, match=r"1 of \d+ files cannot be used: .*bob_nohash_1\.wav"):
        DataChoice(tree, options=options, strict=True).load(kws)


def test_a_source_that_never_skips_takes_the_flag():
    options = {"train": 12, "calibration": 12, "test": 12}
    data = DataChoice(options=options, strict=True).load(find_task("ic"))
    assert len(data.test) == 12
    with pytest.raises(InputError, match="has no option 'loud'"):
        DataChoice(options={"loud": 1}, strict=True).load(find_task("ic"))


def test_on_the_command_line(tree, tmp_path, capsys):
    line = ["train", "kws", "--data", tree, "--data-option", f"cache={tmp_path / 'c'}", "--strict"]
    with pytest.raises(SystemExit) as end:
        main([str(part) for part in (*line, "-o", tmp_path / "run")])
    assert end.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("error: ") and "bob_nohash_1.wav" in said
    assert not (tmp_path / "run").exists()


def test_data_as_options_of_the_next_command(tree):
    options = {"words": "one,two", "silence": 0, "name": "my words"}
    line = DataChoice(tree, "speech", 3, options).command_line()
    assert shlex.split(line) == [
        *("--data", str(tree), "--source", "speech", "--data-option", "words=one,two"),
        *("--data-option", "silence=0", "--data-option", "name=my words", "--seed", "3"),
    ]
    assert DataChoice().command_line() == ""
