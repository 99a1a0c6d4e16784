"""trecx doctor's findings, and what fits on which board."""

import shutil
from pathlib import Path

import pytest

from trecx.errors import ToolMissingError
from trecx.targets import blocks, doctor, qemu, toolchain
from trecx.targets.boards import board_names, list_boards, load_board
from trecx.targets.presets import list_presets


@pytest.fixture
def path_with(monkeypatch, tmp_path):
    """A PATH with only the named tools."""

    def limit(*tools):
        for tool in tools:
            (tmp_path / tool).symlink_to(shutil.which(tool))
        monkeypatch.setenv("PATH", str(tmp_path))
        forget()

    def forget():
        for cached in (
            toolchain.find_tool,
            toolchain.tool_version,
            toolchain.require_newlib,
            toolchain.require_extension,
            blocks.plugin_library,
        ):
            cached.cache_clear()

    yield limit
    monkeypatch.undo()
    forget()


def find(checks, name):
    return next(check for check in checks if check.name == name)


def test_a_complete_machine_passes_with_a_trial_run():
    checks = doctor.run_checks()
    assert doctor.all_required_ok(checks)
    assert find(checks, "trial run").found.endswith("instructions counted on mps2-an386")
    assert "QEMU emulator version" in find(checks, "qemu-system-arm").found
    assert all(check.fix == "" for check in checks if check.ok)


def test_missing_emulator_says_what_to_install(path_with):
    path_with("gcc", "arm-none-eabi-gcc", "arm-none-eabi-objdump", "arm-none-eabi-addr2line")
    checks = doctor.run_checks()
    emulator = find(checks, "qemu-system-arm")
    assert not emulator.ok and "apt-get install qemu-system-arm" in emulator.fix
    assert not doctor.all_required_ok(checks)
    assert all(check.name != "trial run" for check in checks)


def test_missing_cross_compiler_says_what_to_install(path_with):
    path_with("gcc", "qemu-system-arm")
    checks = doctor.run_checks()
    fix = find(checks, "arm-none-eabi-gcc").fix
    assert "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi" in fix
    assert find(checks, "qemu-system-arm").ok


def test_old_emulator_is_refused(path_with, tmp_path, monkeypatch):
    old = tmp_path / "old"
    old.mkdir()
    script = old / "qemu-system-arm"
    script.write_text("#!/bin/sh\necho 'QEMU emulator version 5.2.0 (Debian 1:5.2)'\n")
    script.chmod(0o755)
    path_with("gcc")
    monkeypatch.setenv("PATH", f"{old}:/bin:/usr/bin")
    found = find(doctor.run_checks(), "qemu-system-arm")
    assert not found.ok and "version 7.0 or later; found QEMU emulator version 5.2.0" in (
        f"{found.found}; {found.fix}"
    )


def test_emulator_without_plugins_is_named(monkeypatch):
    monkeypatch.setattr(qemu, "_takes_plugins", lambda path: False)
    blocks.plugin_library.cache_clear()
    try:
        found = find(doctor.run_checks(), "profiler plugin")
    finally:
        blocks.plugin_library.cache_clear()
    assert not found.ok and not found.required and "built without plugins" in found.found


def test_missing_python_package_is_named(monkeypatch):
    def version(name):
        raise doctor.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    found = doctor._package(("tensorflow",), "training", False)
    assert not found.ok and found.fix == "python -m pip install tensorflow"


def test_what_fits():
    small, large = load_board("microbit"), load_board("mps2-an386")
    assert small.fits(flash_bytes=100_000, ram_bytes=4_000)
    assert not small.fits(flash_bytes=300_000, ram_bytes=4_000)
    assert not small.fits(flash_bytes=100_000, ram_bytes=15_000)
    assert large.fits(flash_bytes=333_288, ram_bytes=100_708)
    assert load_board("host").fits(flash_bytes=10**9, ram_bytes=10**9)


def test_the_documented_boards_are_the_boards():
    table = (Path(__file__).parent.parent / "docs" / "BOARDS.md").read_text().split("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert sorted(rows[1:]) == list(board_names())


def test_every_preset_has_a_board_that_runs_its_code():
    cores = {board.core for board in list_boards()}
    assert all(preset.core in cores for preset in list_presets())


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ('echo "error: unrecognized -mcpu target: cortex-m55" >&2; exit 1', "unrecognized -mcpu"),
        ('echo "#define __arm__ 1"', "Helium extension"),
    ],
)
def test_a_compiler_without_the_extension_is_named(path_with, tmp_path, says, message):
    path_with()
    compiler = tmp_path / "arm-none-eabi-gcc"
    version = 'case $1 in --version) echo "gcc 9.2.1"; exit;; esac'
    compiler.write_text(f"#!/bin/sh\n{version}\n{says}\n")
    compiler.chmod(0o755)
    board = load_board("mps3-an547")
    with pytest.raises(ToolMissingError, match=message) as raised:
        toolchain.require_extension(str(compiler), board.isa, tuple(board.flags))
    for named in (str(compiler), "gcc 9.2.1", "-mcpu=cortex-m55", "10 or later"):
        assert named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_reference_kernels_need_no_extension(path_with):
    toolchain.require_extension("no compiler", "ref", ())
