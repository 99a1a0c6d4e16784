"""Package a compiled library for real projects: plain C, CMake, Arduino, Zephyr, CMSIS-Pack."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from trecx.errors import InputError
from trecx.files import atomic_folder
from trecx.targets.boards import Board

_MARKER = "trecx-export.json"

_CMSIS_CORE = {
    "cortex-m0": "Cortex-M0",
    "cortex-m0plus": "Cortex-M0+",
    "cortex-m3": "Cortex-M3",
    "cortex-m4": "Cortex-M4",
    "cortex-m7": "Cortex-M7",
    "cortex-m33": "Cortex-M33",
    "cortex-m55": "Cortex-M55",
}
_NEEDS = {
    "ref": "any Cortex-M",
    "dsp": "the DSP extension (Cortex-M4, M7, or M33 with it)",
    "mve": "Helium (Cortex-M55 or M85)",
}


class ExportFormat(Enum):
    """What the exported folder is for."""

    C = "c"
    CMAKE = "cmake"
    ARDUINO = "arduino"
    ZEPHYR = "zephyr"
    CMSIS_PACK = "cmsis-pack"


@dataclass(frozen=True)
class _Model:
    """What the README and the package files say."""

    name: str
    version: str
    board: Board
    constants: int
    arena: int
    flash: int | None
    stack: int | None
    sources: tuple[str, ...]
    headers: tuple[str, ...]

    @property
    def upper(self) -> str:
        return self.name.upper()


def export_library(
    library: Path,
    out: Path,
    kind: ExportFormat | str,
    board: Board,
    *,
    version: str = "1.0.0",
    flash_bytes: int | None = None,
    stack_bytes: int | None = None,
) -> list[Path]:
    """Write an export of a compiled library; returns the files written, sorted.

    Args:
        library: folder that `trecx compile` wrote (NAME.c, NAME.h, sources.txt, report.json).
        out: folder to make; replaced if it is an earlier export.
        board: the target that the library was compiled for; its core's flags are in the README.
        version: of the package, three numbers.
        flash_bytes, stack_bytes: measured needs of a minimal firmware, for the README.

    The same arguments give the same bytes. Raises InputError for a folder that is no library, a
    version that is not three numbers, or an unknown format.
    """
    kind = _format(kind)
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise InputError(f"a package version is three numbers such as 1.0.0; got {version!r}")
    if board.is_host:
        raise InputError(
            "an export is for a board: give the target that the model was compiled for"
        )
    model = _read(Path(library), board, version, flash_bytes, stack_bytes)
    layout, extra = _FORMATS[kind]
    with atomic_folder(Path(out), _MARKER) as folder:
        for name in (*model.sources, *model.headers):
            _write(folder / layout(name), (Path(library) / name).read_bytes())
        files = {"README.md": _readme(model, kind), **extra(model)}
        for name, text in files.items():
            _write(folder / name, text.encode())
        description = {"name": model.name, "format": kind.value, "version": version}
        _write(folder / _MARKER, (json.dumps(description, indent=2) + "\n").encode())
        if kind is ExportFormat.CMSIS_PACK:
            _zip(folder, f"trecx.{model.name}.{version}.pack")
    return sorted(path for path in Path(out).rglob("*") if path.is_file())


def _format(kind: ExportFormat | str) -> ExportFormat:
    try:
        return ExportFormat(kind)
    except ValueError:
        known = ", ".join(f.value for f in ExportFormat)
        raise InputError(f"the export format must be one of {known}; got {kind!r}") from None


def _read(library: Path, board: Board, version: str, flash, stack) -> _Model:
    try:
        report = json.loads((library / "report.json").read_text())
        sources = (library / "sources.txt").read_text().split()
    except (OSError, ValueError) as error:
        raise InputError(f"{library} is not a library that trecx compile wrote: {error}") from error
    headers = sorted(
        str(path.relative_to(library)) for path in library.rglob("*.h") if path.name != "board.h"
    )
    return _Model(
        report["prefix"],
        version,
        board,
        report["weight_bytes"],
        report["memory"]["arena_bytes"],
        flash,
        stack,
        tuple(sources),
        tuple(headers),
    )


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _zip(folder: Path, name: str) -> None:
    """All files of the folder as a .pack, with fixed dates."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as pack:
        for path in files:
            if path.name == _MARKER:
                continue
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            pack.writestr(entry, path.read_bytes())


# --- README -----------------------------------------------------------------------------------


def _readme(model: _Model, kind: ExportFormat) -> str:
    flags = " ".join(model.board.flags)
    flash = f"{model.flash:,} bytes" if model.flash else "not measured"
    stack = f"{model.stack:,} bytes" if model.stack else "not measured; 2 KB is a safe start"
    return f"""# {model.name}: a model compiled by trecx

Self-contained C99 without heap, operating system or floating point. The library was compiled for
{model.board.name} ({model.board.core}); its kernels need {_NEEDS[model.board.isa]}.

## Memory

| | |
|---|---|
| constants in flash (weights, tables) | {model.constants:,} bytes |
| flash of a minimal firmware, constants and start-up included | {flash} |
| arena in RAM (activations, all layers) | {model.arena:,} bytes, and 32 of guard words |
| stack | {stack} |

Input and output sizes, scales and zero points are in {model.name}.h.

## Adding it to a project

{_HOW_TO[kind](model, flags)}
## Calling it

```c
#include "{model.name}.h"

trecx_result result;
int8_t *input = {model.name}_input(); /* fill {model.upper}_INPUT_BYTES values */
if ({model.name}_invoke(input, &result) == TRECX_OK) {{
  /* result.class_index, result.exit_index, result.output[0 .. {model.upper}_OUTPUT_COUNT - 1] */
}}
```

Not re-entrant: one inference at a time. The header is ready for C++.
"""


def _how_to_c(model: _Model, flags: str) -> str:
    return f"""Compile the files of sources.txt with the include paths `.` and `include`, e.g.

    arm-none-eabi-gcc {flags} -mthumb \\
        -O2 -ffunction-sections -fdata-sections -I. -Iinclude -c $(cat sources.txt)

and link with `-Wl,--gc-sections`.
"""


def _how_to_cmake(model: _Model, flags: str) -> str:
    return f"""    add_subdirectory({model.name})
    target_link_libraries(your_firmware PRIVATE trecx::{model.name})

The core's flags ({flags} -mthumb) come from your toolchain file; trecx.toolchain.cmake is one for
this core.
"""


def _how_to_arduino(model: _Model, flags: str) -> str:
    return f"""Copy this folder to the `libraries` folder of your sketchbook, or zip it and use
Sketch > Include Library > Add .ZIP Library. The board must have
{_NEEDS[model.board.isa]}.
The example is File > Examples > trecx_{model.name} > classify.
"""


def _how_to_zephyr(model: _Model, flags: str) -> str:
    return f"""This folder is a Zephyr module. Add it to your west manifest, or give its path:

    west build -b BOARD -- -DZEPHYR_EXTRA_MODULES=/path/to/this/folder \\
        -DCONFIG_TRECX_{model.upper}=y
"""


def _how_to_pack(model: _Model, flags: str) -> str:
    return f"""Install trecx.{model.name}.{model.version}.pack (double-click it in an IDE, or
`cpackget add trecx.{model.name}.{model.version}.pack`) and select the component
Machine Learning:Model:{model.name}.
"""


_HOW_TO: dict[ExportFormat, Callable[[_Model, str], str]] = {
    ExportFormat.C: _how_to_c,
    ExportFormat.CMAKE: _how_to_cmake,
    ExportFormat.ARDUINO: _how_to_arduino,
    ExportFormat.ZEPHYR: _how_to_zephyr,
    ExportFormat.CMSIS_PACK: _how_to_pack,
}


# --- Formats ----------------------------------------------------------------------------------


def _as_is(name: str) -> str:
    return name


def _under_src(name: str) -> str:
    """Arduino knows one include path, src."""
    return f"src/{name.removeprefix('include/')}"


def _c_files(model: _Model) -> dict[str, str]:
    return {"sources.txt": "\n".join(model.sources) + "\n"}


def _cmake_files(model: _Model) -> dict[str, str]:
    sources = "\n  ".join(model.sources)
    lists = f"""cmake_minimum_required(VERSION 3.13)
project(trecx_{model.name} VERSION {model.version} LANGUAGES C)

add_library(trecx_{model.name} STATIC
  {sources}
)
add_library(trecx::{model.name} ALIAS trecx_{model.name})
target_include_directories(trecx_{model.name} PUBLIC
  ${{CMAKE_CURRENT_SOURCE_DIR}}
  ${{CMAKE_CURRENT_SOURCE_DIR}}/include
)
target_compile_features(trecx_{model.name} PUBLIC c_std_99)
target_compile_options(trecx_{model.name} PRIVATE -O2 -ffunction-sections -fdata-sections)
"""
    flags = " ".join((*model.board.flags, "-mthumb"))
    toolchain = f"""# Cross compilation for {model.board.core}; use with
# cmake -DCMAKE_TOOLCHAIN_FILE=trecx.toolchain.cmake
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR {model.board.core})
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_C_FLAGS_INIT "{flags}")
# There is no start-up code to link a test program with.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
"""
    return {"CMakeLists.txt": lists, "trecx.toolchain.cmake": toolchain}


def _arduino_files(model: _Model) -> dict[str, str]:
    properties = f"""name=trecx_{model.name}
version={model.version}
author=trecx
maintainer=trecx
sentence=The model {model.name}, compiled to C by trecx.
paragraph=Integer-only inference with early exits; needs {_NEEDS[model.board.isa]}.
category=Data Processing
url=
architectures=*
includes={model.name}.h
"""
    sketch = f"""// Classifies a constant input and prints what came out.
#include <{model.name}.h>

void setup() {{
  Serial.begin(115200);
}}

void loop() {{
  int8_t *input = {model.name}_input();
  for (int i = 0; i < {model.upper}_INPUT_BYTES; i++) input[i] = {model.upper}_INPUT_ZERO_POINT;
  trecx_result result;
  if ({model.name}_invoke(input, &result) == TRECX_OK) {{
    Serial.print("class ");
    Serial.print(result.class_index);
    Serial.print(" from exit ");
    Serial.println(result.exit_index);
  }}
  delay(1000);
}}
"""
    return {"library.properties": properties, "examples/classify/classify.ino": sketch}


def _zephyr_files(model: _Model) -> dict[str, str]:
    sources = "\n    ".join(model.sources)
    lists = f"""if(CONFIG_TRECX_{model.upper})
  zephyr_library_named(trecx_{model.name})
  zephyr_library_sources(
    {sources}
  )
  zephyr_include_directories(${{CMAKE_CURRENT_SOURCE_DIR}} ${{CMAKE_CURRENT_SOURCE_DIR}}/include)
endif()
"""
    needs = f"{model.constants} bytes of flash for constants and {model.arena + 32} bytes of RAM"
    kconfig = (
        f"config TRECX_{model.upper}\n"
        f'\tbool "Model {model.name}, compiled by trecx"\n'
        "\thelp\n"
        "\t  Integer-only inference with early exits. The kernels need\n"
        f"\t  {_NEEDS[model.board.isa]}.\n"
        f"\t  {needs}.\n"
    )
    module = f"""name: trecx_{model.name}
build:
  cmake: .
  kconfig: Kconfig
"""
    return {"CMakeLists.txt": lists, "Kconfig": kconfig, "zephyr/module.yml": module}


def _pack_files(model: _Model) -> dict[str, str]:
    condition = f"Cores with {model.board.isa} kernels"
    accepted = [f'<accept Dcore="{name}"/>' for name in _accepted_cores(model.board)]
    files = [f'<file category="header" name="{model.name}.h"/>']
    files += ['<file category="include" name="./"/>', '<file category="include" name="include/"/>']
    files += [f'<file category="source" name="{name}"/>' for name in model.sources]
    lines = "\n        ".join(files)
    needs = f"{model.constants} bytes of constants in flash, {model.arena + 32} bytes of RAM"
    conditions = "\n      ".join(accepted)
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<package schemaVersion="1.7.40" xmlns:xs="http://www.w3.org/2001/XMLSchema-instance"
    xs:noNamespaceSchemaLocation="PACK.xsd">
  <vendor>trecx</vendor>
  <name>{model.name}</name>
  <description>The model {model.name}, compiled to C by trecx</description>
  <url></url>
  <releases>
    <release version="{model.version}">Generated by trecx.</release>
  </releases>
  <keywords>
    <keyword>machine learning</keyword>
    <keyword>early exit</keyword>
  </keywords>
  <conditions>
    <condition id="{condition}">
      {conditions}
    </condition>
  </conditions>
  <components>
    <component Cclass="Machine Learning" Cgroup="Model" Csub="{model.name}"
        Cversion="{model.version}" condition="{condition}">
      <description>{needs}</description>
      <files>
        {lines}
      </files>
    </component>
  </components>
</package>
"""
    return {f"trecx.{model.name}.pdsc": text}


def _accepted_cores(board: Board) -> list[str]:
    """Cores that can run the library's kernels."""
    if board.isa == "dsp":
        return ["Cortex-M4", "Cortex-M7", "Cortex-M33", "Cortex-M35P"]
    if board.isa == "mve":
        return ["Cortex-M55", "Cortex-M85"]
    return [*_CMSIS_CORE.values(), "Cortex-M23", "Cortex-M35P", "Cortex-M85"]


_FORMATS: dict[ExportFormat, tuple[Callable[[str], str], Callable[[_Model], dict[str, str]]]] = {
    ExportFormat.C: (_as_is, _c_files),
    ExportFormat.CMAKE: (_as_is, _cmake_files),
    ExportFormat.ARDUINO: (_under_src, _arduino_files),
    ExportFormat.ZEPHYR: (_as_is, _zephyr_files),
    ExportFormat.CMSIS_PACK: (_as_is, _pack_files),
}
