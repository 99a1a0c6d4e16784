"""Setting up a fresh machine: what tools/install-tools.sh says and does, and the constraints."""

import re
import shutil
import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "tools" / "install-tools.sh"
TOOLS = ("gcc", "qemu-system-arm", "arm-none-eabi-gcc")


@pytest.fixture
def machine(tmp_path):
    """Runs the script where only the given programs exist; others are one-line shell scripts."""

    def run(*programs, **scripts):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("grep", *programs):
            (folder / name).symlink_to(shutil.which(name))
        for name, text in {"python3": "exit 0", **scripts}.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        return subprocess.run(
            ["/bin/sh", SCRIPT, "package-a", "package-b"],
            env={"PATH": str(folder)},
            capture_output=True,
            text=True,
        )

    return run


def test_complete_machine_needs_nothing(machine):
    done = machine(*TOOLS, id="echo 0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_root_installs_what_is_missing(machine, tmp_path):
    log = tmp_path / "log"
    done = machine("gcc", "env", id="echo 0", apt_get=f'echo "$@" >> {log}')
    assert done.returncode == 0, done.stderr
    assert done.stdout == "installing gcc libc6-dev package-a package-b\n"
    update, install = log.read_text().splitlines()
    assert update.startswith("update")
    assert install.startswith("install") and install.endswith("libc6-dev package-a package-b")


def test_without_root_the_command_is_named(machine):
    done = machine("gcc", id="echo 1000", apt_get="exit 9", sudo="exit 1")
    assert done.returncode == 1
    assert "sudo apt-get install" in done.stderr and "package-a package-b" in done.stderr


def test_python_without_venv_is_completed(machine):
    done = machine(*TOOLS, id="echo 1000", python3="exit 1", apt_get="exit 9")
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith(" python3-venv")
    assert "package-a" not in done.stderr


def test_without_debian_the_packages_are_named(machine):
    done = machine(id="echo 0")
    assert done.returncode == 1
    assert "package-a package-b" in done.stderr and "apt-get" not in done.stderr


def test_every_requirement_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(
        re.fullmatch(r"([a-z0-9.-]+)==(.+); python_version.*", x).groups() for x in lines[1:]
    )
    names = {
        re.match(r"[\w.-]+", text).group().lower().replace("_", "-") for text in requires("trecx")
    }
    assert "tensorflow" in names and "numpy" in names
    assert names <= set(pins)
