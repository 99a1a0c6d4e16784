"""The command line as a whole: help, what is loaded, warnings, pipes, and reports of every kind."""

import json
import subprocess
import sys
import warnings
from functools import cache
from html import escape

import click
import numpy as np
import pytest
from click.testing import CliRunner

import trecx
from tests.support.bundles import input_patterns
from trecx import pipeline
from trecx.bundle import read_bundle
from trecx.cli import main
from trecx.errors import TrecxWarning

SMALL = ["--data-option=train=12", "--data-option=calibration=60", "--data-option=test=60"]
PROGRAM = [sys.executable, "-c", "from trecx.cli import main; main()"]


def commands(group=main, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())


def invoke(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done


def report_of(*words):
    return json.loads(invoke(*words, "--json").stdout)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help(path):
    command = ALL[path]
    text = invoke(*path, "--help").stdout
    assert text.startswith(f"Usage: main {' '.join(path)}")
    assert command.help and command.help.splitlines()[0].endswith((".", ":"))
    for option in command.params:
        if isinstance(option, click.Option):
            described = option.help or option.show_default or isinstance(option.type, click.Choice)
            assert described, f"{option.opts[0]} has no help"


@pytest.mark.parametrize("path", [p for p in ALL if len(p) == 1], ids=" ".join)
def test_help_has_examples(path):
    assert "Example" in ALL[path].help
    for line in ALL[path].help.splitlines():
        words = line.split()
        if words[:1] == ["trecx"]:
            assert words[1] in main.commands, line


def test_groups_have_help():
    assert {name for name, c in main.commands.items() if not c.help} == set()


def test_version():
    assert invoke("--version").stdout == f"trecx, version {trecx.__version__}\n"


def test_help_imports_neither_numpy_nor_training_packages():
    code = """if True:
        import sys
        from trecx.cli import main
        try:
            main(["--help"])
        except SystemExit:
            pass
        print(*sorted({name.split(".")[0] for name in sys.modules}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"numpy", "rich", "tensorflow", "keras", "h5py", "PIL"}


def test_compile_loads_no_training_package(kws_bundle, tmp_path):
    code = f"""if True:
        import sys
        from trecx.cli import main
        try:
            main(["compile", {str(kws_bundle)!r}, "-o", {str(tmp_path / "c")!r}])
        except SystemExit as stop:
            assert stop.code == 0
        print(*sorted({{name.split(".")[0] for name in sys.modules}}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "numpy" in loaded and not loaded & {"tensorflow", "keras", "h5py"}


def test_warnings_are_plain_lines(monkeypatch, tmp_path):
    def warn(path):
        warnings.warn("two files\nwere skipped", TrecxWarning, stacklevel=1)
        warnings.warn("a remark of some library", UserWarning, stacklevel=1)
        return pipeline.doctor()

    monkeypatch.setattr(pipeline, "inspect", warn)
    (tmp_path / "model.tflite").write_bytes(b"")
    done = invoke("inspect", tmp_path / "model.tflite", "--json")
    assert done.stderr == "warning: two files were skipped\n"
    json.loads(done.stdout)


def test_interrupt(monkeypatch, tmp_path):
    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "inspect", interrupt)
    (tmp_path / "model.tflite").write_bytes(b"")
    done = CliRunner().invoke(main, ["inspect", str(tmp_path / "model.tflite")])
    assert (done.exit_code, done.stderr) == (130, "\ninterrupted\n")


def test_a_bug_keeps_its_traceback(monkeypatch, tmp_path):
    def fail(path):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(pipeline, "inspect", fail)
    (tmp_path / "model.tflite").write_bytes(b"")
    done = CliRunner().invoke(main, ["inspect", str(tmp_path / "model.tflite")])
    assert isinstance(done.exception, ZeroDivisionError)


def test_reader_that_leaves_early(kws_bundle):
    """Such as `trecx inspect ... | head -1`."""
    writer = subprocess.Popen(
        [*PROGRAM, "inspect", str(kws_bundle / "full.tflite"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    writer.stdout.close()
    assert writer.stderr.read() == b""
    writer.stderr.close()
    assert writer.wait(30) == 1


REPORTS = {
    "flops": ("report", "flops", "BUNDLE"),
    "memory": ("report", "memory", "BUNDLE"),
    "accuracy": ("report", "accuracy", "BUNDLE", "--quiet", *SMALL),
    "benefit": ("report", "benefit", "BUNDLE", "--quiet", *SMALL),
    "overthinking": ("report", "overthinking", "BUNDLE", "--quiet", *SMALL),
    "inspect": ("inspect", "BUNDLE/full.tflite"),
    "verify": ("verify", "BUNDLE", "--samples", "9", "--quiet"),
    "boards": ("boards", "BUNDLE"),
    "run": ("run", "BUNDLE", "--target", "host", "--input", "INPUT", "--quiet"),
    "profile": ("profile", "BUNDLE", "--input=INPUT", "--preset=l4r5", "--base", "--quiet"),
    "mlperf": ("mlperf", "accuracy", "BUNDLE", "--samples", "3", "--quiet", *SMALL),
    "build": ("build", "BUNDLE", "--app", "minimal", "-o", "OUT"),
    "package": ("export", "BUNDLE", "--format", "cmake", "-o", "OUT"),
    "tflm": ("export", "BUNDLE", "--format", "tflm", "-o", "OUT"),
}


@pytest.fixture(scope="module")
def words(kws_bundle, tmp_path_factory):
    """The placeholders of REPORTS."""
    folder = tmp_path_factory.mktemp("reports")
    np.save(folder / "x.npy", input_patterns(read_bundle(kws_bundle).graphs()[0], 6))

    def fill(line, out):
        places = {"BUNDLE": kws_bundle, "INPUT": folder / "x.npy", "OUT": folder / out}
        for name, value in places.items():
            line = [word.replace(name, str(value)) for word in line]
        return line

    return fill


@pytest.fixture(scope="module")
def json_report(words):
    @cache
    def find(name):
        return report_of(*words(REPORTS[name], f"{name}-json"))

    return find


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_as_text_page_and_json(name, words, json_report, tmp_path):
    assert json_report(name)["report"] == name
    page = tmp_path / "report.html"
    done = invoke(*words(REPORTS[name], f"{name}-text"), "--html", page)
    title, rule = done.stdout.splitlines()[:2]
    assert f"<h1>{escape(title)}</h1>" in page.read_text()
    assert set(rule) == {"="} and len(rule) == len(title)
    assert done.stderr == ""


def test_profile_report_adds_up(json_report):
    found = json_report("profile")
    *paths, whole = found["network"]["paths"]
    assert sum(p["samples"] for p in paths) == whole["samples"] == found["samples"] == 6
    assert len(paths) == 2
    steps = found["steps"]["steps"]
    # Steps are of the deepest path; rounding each of them loses less than an instruction.
    deepest = [s for s in steps if s["segment"] == 1 or not s["only_when_taken"]]
    total = sum(s["instructions"] for s in deepest)
    assert (
        total
        == pytest.approx(paths[1]["mean"], abs=len(steps))
        == found["steps"]["path_instructions"][1]
    )
    by_function = sum(f["instructions"] for f in found["functions"])
    assert by_function == pytest.approx(whole["mean"])
    assert sum(m["instructions"] for m in found["mix"]) == pytest.approx(whole["mean"])
    decision = [s for s in steps if s["part"] == "exit decision"]
    assert len(decision) == 1 and 0 < decision[0]["instructions"] < 0.005 * paths[0]["mean"]
    time = found["network"]["time"]
    assert time["cycles"]["low"] < time["cycles"]["nominal"] < time["cycles"]["high"]
    assert time["cycles"]["nominal"] > whole["mean"]
    assert found["base"]["paths"][-1]["mean"] > paths[0]["mean"]


def test_doctor_passes_here():
    found = report_of("doctor")
    assert found["passed"] and all(check["ok"] for check in found["checks"])


def test_zoo_commands(tmp_path):
    cards = json.loads(invoke("zoo", "list", "--json").stdout)
    for card in cards:
        invoke("zoo", "get", card["name"], "-o", tmp_path / card["name"])
        assert read_bundle(tmp_path / card["name"] / "bundle").digest == card["bundle_digest"]
    lines = [x for x in invoke("zoo", "list").stdout.splitlines() if not x.startswith(" ")]
    if cards:
        assert [line.split(":")[0] for line in lines] == [card["name"] for card in cards]
    else:
        assert lines == ["the zoo of this installation is empty"]


def test_serve_and_drive_over_a_terminal(words, json_report, tmp_path):
    device = subprocess.Popen(
        [*PROGRAM, "serve", *words(["BUNDLE"], ""), "--pty", str(tmp_path / "dut")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert device.stdout.readline() == f"device: {tmp_path / 'dut'}\n"
        port = ["--port", tmp_path / "dut", "--samples", "3", "--quiet", *SMALL]
        over_terminal = report_of("mlperf", "accuracy", *words(["BUNDLE"], ""), *port)
    finally:
        device.terminate()
        device.wait(30)
        device.stdout.close()
    emulated = json_report("mlperf")
    assert over_terminal["value"] == emulated["value"]
    assert over_terminal["inputs"] == emulated["inputs"] == 3
