"""The wheel, installed with its base dependencies alone in a fresh environment, outside the tree.

Compile, run on the host and on an emulated Cortex-M4, evaluate and report must work there without
TensorFlow; the installation stays small and starts fast.
"""

import configparser
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.support.bundles import input_patterns
from trecx.bundle import read_bundle

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
BUILT_FROM = ("setup.cfg", "pyproject.toml", "LICENSE", "trecx", "mlperf_tiny", "deploy")
MOST_BYTES = 150 << 20
# `trecx --help` in modules, which unlike seconds do not depend on the machine; Python itself
# starts with about 60 of them and click with 100 more.
MOST_MODULES = 300
HEAVY = ("tensorflow", "keras", "numpy", "rich", "matplotlib", "tflite_runtime", "ai_edge_litert")


def packages_in_setup_cfg():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return config["options"]["packages"].split()


def files_on_disk(folder):
    return {
        path.relative_to(ROOT)
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_setup_cfg_lists_every_package():
    on_disk = {
        ".".join(path.parent.parts)
        for folder in ("trecx", "mlperf_tiny")
        for path in files_on_disk(folder)
        if path.name == "__init__.py"
    }
    listed = packages_in_setup_cfg()
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == on_disk | {"trecx._deploy"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: setuptools would take files of earlier builds from build/lib."""
    work = tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        source, target = ROOT / name, work / "source" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, target)
    pip("wheel", "--no-deps", "--wheel-dir", work, work / "source")
    (found,) = work.glob("*.whl")
    return found


def test_wheel_holds_every_file(wheel):
    expected = {str(path) for folder in ("trecx", "mlperf_tiny") for path in files_on_disk(folder)}
    expected |= {f"trecx/_deploy/{path.relative_to('deploy')}" for path in files_on_disk("deploy")}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == expected


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Folder of a fresh environment with the wheel and what it depends on, without extras."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    constraints = ROOT / "constraints.txt"
    pip("--python", folder, "install", "--constraint", constraints, wheel)
    return folder


@pytest.fixture
def trecx(installed, tmp_path):
    """Runs the installed `trecx` in an empty folder and returns its standard output."""

    def call(*arguments):
        return run([installed / "bin" / "trecx", *arguments], cwd=tmp_path).stdout

    return call


@pytest.fixture
def python(installed, tmp_path):
    def call(code):
        return run([installed / "bin" / "python", "-c", code], cwd=tmp_path).stdout

    return call


def test_no_training_package_came_along(python):
    code = "from importlib.metadata import distributions as d\nfor x in d(): print(x.name)"
    names = {name.lower() for name in python(code).split()}
    assert "trecx" in names and "numpy" in names
    assert not names & {"tensorflow", "keras", "jax", "torch", "matplotlib", "pillow", "h5py"}


def test_installation_is_small(installed):
    size = sum(path.lstat().st_size for path in installed.rglob("*"))
    print(f"installed: {size / (1 << 20):.0f} MiB")
    assert size < MOST_BYTES


def test_sources_come_from_the_wheel(python):
    code = "from trecx.targets.deploy_path import deploy_path; print(deploy_path())"
    assert python(code).strip().endswith("site-packages/trecx/_deploy")


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["compile", "--help"]])
def test_help_loads_little(python, words):
    code = f"""if True:
        import sys
        from trecx.cli import main
        sys.argv = ["trecx", *{words!r}]
        try:
            main()
        except SystemExit as stop:
            assert stop.code == 0
        print(len(sys.modules), *sorted({{name.split(".")[0] for name in sys.modules}}))
    """
    text, _, modules = python(code).rstrip().rpartition("\n")
    count, *names = modules.split()
    print(f"{count} modules")
    assert (text.startswith("Usage: trecx") and "Examples" in text) or words == ["--help"]
    assert int(count) < MOST_MODULES
    assert not set(names) & set(HEAVY)


def test_compile_warns_of_nothing_and_includes_its_own_sources_alone(trecx, tmp_path, kws_bundle):
    trecx("compile", kws_bundle, "--target", "host", "-o", "c")
    sources = (tmp_path / "c" / "sources.txt").read_text().split()
    run(
        ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-Ic", "-Ic/include", "-c"]
        + [f"c/{name}" for name in sources],
        cwd=tmp_path,
    )


@pytest.mark.parametrize("target", ["host", "mps2-an386"])
def test_run_is_exact(trecx, tmp_path, kws_bundle, target):
    np.save(tmp_path / "x.npy", input_patterns(read_bundle(kws_bundle).graphs()[0], 12))
    found = json.loads(
        trecx("run", kws_bundle, "--target", target, "--input", "x.npy", "--json", "--quiet")
    )
    assert found["samples"] == 12
    assert found["exactness"]["bit_exact"] is True
    assert all(0 < rate < 1 for rate in found["exit_rates"])


def test_run_without_a_compiler(trecx, tmp_path, kws_bundle):
    np.save(tmp_path / "x.npy", input_patterns(read_bundle(kws_bundle).graphs()[0], 12))
    line = ["run", kws_bundle, "--input", "x.npy", "--json", "--quiet", "--target"]
    ours, theirs = (json.loads(trecx(*line, target)) for target in ("host", "host-tflite"))
    assert theirs["target"] == "host-tflite"
    assert theirs["exit_rates"] == ours["exit_rates"]


@pytest.mark.parametrize("target", ["host", "mps2-an386"])
def test_golden_bundle_gives_its_answers(trecx, tmp_path, target):
    """A bundle of three segments that an earlier version wrote."""
    with np.load(DATA / "golden_answers_v1.npz") as answers:
        x, scores, stops = (answers[name] for name in ("x", "scores", "stops"))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", scores.argmax(axis=1))
    line = ["--input", "x.npy", "--labels", "y.npy", "--target", target, "--json", "--quiet"]
    found = json.loads(trecx("run", DATA / "golden_bundle_v1", *line))
    assert found["accuracy"] == 1.0 and found["exactness"]["bit_exact"] is True
    assert found["exit_rates"] == list(np.bincount(stops, minlength=3) / len(stops))


def test_reports_and_evaluation(trecx, kws_bundle):
    flops = json.loads(trecx("report", "flops", kws_bundle, "--json"))
    assert flops["report"] == "flops"
    assert "MACs" in trecx("report", "flops", kws_bundle)
    memory = json.loads(trecx("report", "memory", kws_bundle, "--json"))
    assert memory["arena_bytes"] > 8000
    found = json.loads(trecx("eval", kws_bundle, "--samples", "40", "--json", "--quiet"))
    assert found["report"] == "accuracy" and found["synthetic_data"] is True


def test_files_commands(trecx, kws_bundle):
    assert "CONV_2D" in trecx("inspect", kws_bundle / "full.tflite")
    found = json.loads(trecx("verify", kws_bundle, "--samples", "20", "--json", "--quiet"))
    assert found["passed"] is True
    assert any("tflite-runtime" in check["name"] + check["detail"] for check in found["checks"])


def test_training_says_what_to_install(installed, tmp_path):
    done = subprocess.run(
        [installed / "bin" / "trecx", "train", "kws"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4
    assert done.stderr.startswith("error: ") and "pip install 'trecx[train]'" in done.stderr
    assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def pip(*arguments):
    return run([sys.executable, "-m", "pip", "--quiet", *arguments])


def run(command, cwd=None):
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done


def clean_environment():
    """No way from the environment's Python back into the checkout."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
