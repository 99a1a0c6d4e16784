"""What the reference kernels may use: no float, no heap, no globals, little stack; any Cortex-M."""

import re
import subprocess

import pytest

from tests.support.kernel_harness import DEPLOY

SOURCES = sorted((DEPLOY / "kernels" / "ref").glob("*.c"))
CORES = ("cortex-m0", "cortex-m4", "cortex-m55")

# From outside: two string functions, and the compiler's own integer division and 64-bit product.
ALLOWED = {"memcpy", "memset", "__aeabi_idiv", "__aeabi_lmul", "__aeabi_memcpy", "__aeabi_memset"}
STACK_BYTES = 160

OPTIONS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Wvla", "-Werror", "-O2"]


@pytest.fixture(scope="module", params=CORES)
def compiled(request, tmp_path_factory):
    """Folder with the object and stack report of each reference source for one core."""
    folder = tmp_path_factory.mktemp(request.param)
    command = ["arm-none-eabi-gcc", f"-mcpu={request.param}", "-mthumb", *OPTIONS]
    command += ["-fstack-usage", f"-I{DEPLOY / 'include'}", "-c", *map(str, SOURCES)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def symbols(path) -> list[tuple[str, str]]:
    """(type letter, name) of each symbol of an object file."""
    text = subprocess.run(
        ["arm-none-eabi-nm", str(path)], capture_output=True, text=True, check=True
    ).stdout
    return re.findall(r"^[0-9a-f ]{8} (\w) (\S+)$", text, re.MULTILINE)


def test_there_are_sources():
    assert len(SOURCES) >= 13


def test_only_allowed_functions_are_called(compiled):
    for source in SOURCES:
        called = {name for kind, name in symbols(compiled / f"{source.stem}.o") if kind == "U"}
        foreign = {name for name in called if not name.startswith("trecx_")} - ALLOWED
        assert not foreign, f"{source.name} calls {foreign}"


def test_no_variables_outlive_a_call(compiled):
    for source in SOURCES:
        kinds = {kind for kind, _ in symbols(compiled / f"{source.stem}.o")}
        assert kinds <= set("UTtr"), f"{source.name} has symbols of kinds {kinds}"


def test_public_names_are_the_project_s(compiled):
    for source in SOURCES:
        public = [name for kind, name in symbols(compiled / f"{source.stem}.o") if kind == "T"]
        assert public and all(name.startswith("trecx_") for name in public)


def test_stack_is_small(compiled):
    for source in SOURCES:
        for line in (compiled / f"{source.stem}.su").read_text().splitlines():
            where, used, kind = line.split("\t")
            assert kind == "static" and int(used) <= STACK_BYTES, (where, used, kind)


def test_every_kernel_has_its_header():
    for source in SOURCES:
        header = DEPLOY / "include" / "trecx" / "kernels" / f"{source.stem}.h"
        assert f"void trecx_{source.stem}(" in header.read_text()
        assert source.read_text().startswith(f'#include "trecx/kernels/{source.stem}.h"\n')
