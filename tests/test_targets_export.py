"""Exports of a compiled library: complete, deterministic, and building where tools exist."""

import json
import subprocess
import xml.etree.ElementTree
import zipfile

import pytest

from tests.support import toy
from trecx.errors import InputError
from trecx.targets.boards import load_board
from trecx.targets.deploy_path import deploy_path
from trecx.targets.export import ExportFormat, export_library
from trecx.targets.toolchain import find_tool

BOARD = load_board("mps2-an386")
FLAGS = [*BOARD.flags, "-mthumb", "-std=c99", "-Wall", "-Wextra", "-Werror", "-O2"]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A library as the compiler writes it, of the toy model and one more source."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "toy.c").write_text('#include "toy.h"\n' + toy.SOURCE.read_text())
    (folder / "toy.h").write_text(
        '#include "trecx/model.h"\n\n#define TOY_INPUT_BYTES 8\n#define TOY_INPUT_ZERO_POINT 0\n'
        "extern const trecx_model toy_model;\n"
    )
    runtime = folder / "trecx" / "runtime"
    runtime.mkdir(parents=True)
    (runtime / "exit_policy.c").write_bytes(
        (deploy_path() / "runtime" / "exit_policy.c").read_bytes()
    )
    for header in ("model.h", "exit_policy.h", "board.h"):
        target = folder / "include" / "trecx" / header
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((deploy_path() / "include" / "trecx" / header).read_bytes())
    (folder / "sources.txt").write_text("toy.c\ntrecx/runtime/exit_policy.c\n")
    report = {"prefix": "toy", "weight_bytes": 1234, "memory": {"arena_bytes": 64}}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def exported(library, tmp_path, kind, **options):
    out = tmp_path / "toy"
    files = export_library(library, out, kind, BOARD, **options)
    return out, [str(path.relative_to(out)) for path in files]


def compile_all(sources, includes, folder):
    for i, source in enumerate(sources):
        command = [find_tool("arm-none-eabi-gcc"), *FLAGS, *(f"-I{path}" for path in includes)]
        subprocess.run([*command, "-c", source, "-o", folder / f"{i}.o"], check=True)
    assert len(list(folder.glob("*.o"))) == len(sources) > 0


@pytest.mark.parametrize("kind", list(ExportFormat), ids=lambda kind: kind.value)
def test_every_format_has_a_readme_with_the_memory_needs(kind, library, tmp_path):
    out, files = exported(library, tmp_path, kind, flash_bytes=5678, stack_bytes=910)
    text = (out / "README.md").read_text()
    for figure in ("1,234 bytes", "5,678 bytes", "64 bytes", "910 bytes", "toy.h"):
        assert figure in text
    assert "README.md" in files and not any(name.endswith("board.h") for name in files)


@pytest.mark.parametrize("kind", list(ExportFormat), ids=lambda kind: kind.value)
def test_same_library_gives_the_same_bytes(kind, library, tmp_path):
    first, names = exported(library, tmp_path / "a", kind)
    second, again = exported(library, tmp_path / "b", kind)
    assert names == again
    assert all((first / n).read_bytes() == (second / n).read_bytes() for n in names)


def test_plain_c_compiles_as_its_readme_says(library, tmp_path):
    out, _ = exported(library, tmp_path, "c")
    sources = [out / name for name in (out / "sources.txt").read_text().split()]
    compile_all(sources, [out, out / "include"], tmp_path)


def test_cmake_builds_the_library_for_the_core(library, tmp_path):
    out, _ = exported(library, tmp_path, "cmake")
    build = tmp_path / "build"
    cmake = find_tool("cmake")
    configure = ["-S", out, "-B", build, f"-DCMAKE_TOOLCHAIN_FILE={out}/trecx.toolchain.cmake"]
    subprocess.run([cmake, *configure], check=True, capture_output=True)
    subprocess.run([cmake, "--build", build], check=True, capture_output=True)
    archive = build / "libtrecx_toy.a"
    listed = subprocess.run(
        [find_tool("arm-none-eabi-objdump"), "-t", archive], capture_output=True, text=True
    ).stdout
    assert "toy_model" in listed and "trecx_argmax_s8" in listed


def test_arduino_layout_and_properties(library, tmp_path):
    out, files = exported(library, tmp_path, "arduino", version="2.0.1")
    properties = dict(
        line.split("=", 1) for line in (out / "library.properties").read_text().splitlines()
    )
    required = "name version author maintainer sentence paragraph category url architectures"
    assert set(required.split()) <= set(properties)
    assert properties["version"] == "2.0.1"
    assert properties["category"] in {"Data Processing"}
    assert (out / "src" / properties["includes"]).is_file()
    assert "examples/classify/classify.ino" in files
    # All C below src, found through the one include path that Arduino gives.
    sources = sorted((out / "src").rglob("*.c"))
    compile_all(sources, [out / "src"], tmp_path)


ZEPHYR_STANDS_IN = """
cmake_minimum_required(VERSION 3.13)
project(zephyr LANGUAGES C)
set(CONFIG_TRECX_TOY y)
macro(zephyr_library_named name)
  set(library ${name})
endmacro()
macro(zephyr_library_sources)
  add_library(${library} STATIC ${ARGN})
endmacro()
macro(zephyr_include_directories)
  target_include_directories(${library} PUBLIC ${ARGN})
endmacro()
add_subdirectory(${MODULE} module)
"""


def test_zephyr_module_builds_with_zephyr_s_commands(library, tmp_path):
    """Zephyr itself is not here: its three commands are played by CMake's own."""
    out, _ = exported(library, tmp_path, "zephyr")
    assert (out / "zephyr" / "module.yml").read_text().startswith("name: trecx_toy\nbuild:\n")
    kconfig = (out / "Kconfig").read_text()
    assert kconfig.startswith("config TRECX_TOY\n\tbool ")
    main = tmp_path / "main"
    main.mkdir()
    (main / "CMakeLists.txt").write_text(ZEPHYR_STANDS_IN)
    cmake, build = find_tool("cmake"), tmp_path / "build"
    command = [cmake, "-S", main, "-B", build, f"-DMODULE={out}"]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run([cmake, "--build", build], check=True, capture_output=True)
    assert (build / "module" / "libtrecx_toy.a").is_file()


def test_cmsis_pack_lists_files_that_are_in_it(library, tmp_path):
    out, _ = exported(library, tmp_path, "cmsis-pack")
    with zipfile.ZipFile(out / "trecx.toy.1.0.0.pack") as pack:
        names = set(pack.namelist())
        package = xml.etree.ElementTree.fromstring(pack.read("trecx.toy.pdsc"))
    assert package.findtext("vendor") == "trecx" and package.findtext("name") == "toy"
    assert package.find("releases/release").get("version") == "1.0.0"
    component = package.find("components/component")
    conditions = {c.get("id") for c in package.iterfind("conditions/condition")}
    assert component.get("condition") in conditions
    listed = [f for f in component.iterfind("files/file") if f.get("category") != "include"]
    assert {f.get("name") for f in listed} <= names
    sources = [f.get("name") for f in listed if f.get("category") == "source"]
    assert sources == ["toy.c", "trecx/runtime/exit_policy.c"]
    compile_all([out / s for s in sources], [out, out / "include"], tmp_path)


def test_a_second_export_replaces_the_first_but_no_other_folder(library, tmp_path):
    out, _ = exported(library, tmp_path, "c")
    exported(library, tmp_path, "arduino")
    assert (out / "library.properties").exists() and not (out / "sources.txt").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").write_text("data")
    with pytest.raises(InputError, match="was not written by trecx"):
        export_library(library, mine, "c", BOARD)
    assert (mine / "precious").read_text() == "data"


def test_wrong_arguments_are_refused(library, tmp_path):
    with pytest.raises(InputError, match="one of c, cmake, arduino, zephyr, cmsis-pack; got 'x'"):
        export_library(library, tmp_path / "a", "x", BOARD)
    with pytest.raises(InputError, match="three numbers"):
        export_library(library, tmp_path / "a", "c", BOARD, version="1.0")
    with pytest.raises(InputError, match="is not a library"):
        export_library(tmp_path, tmp_path / "a", "c", BOARD)
    with pytest.raises(InputError, match="an export is for a board"):
        export_library(library, tmp_path / "a", "c", load_board("host"))
    assert not (tmp_path / "a").exists()
