"""The rules of docs/DESIGN.md on who imports whom, read from the import statements."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"tensorflow", "keras", "jax", "torch", "matplotlib"}

# What each part of trecx may import of trecx, besides itself and trecx.errors, trecx.files,
# trecx.quiet, trecx.typed.
ALLOWED = {
    "trecx.errors": set(),
    "trecx.files": set(),
    "trecx.quiet": set(),
    "trecx.typed": set(),
    "trecx.ir": set(),
    "trecx.tflite": {"trecx.ir"},
    "trecx.policies": set(),
    "trecx.task": set(),
    "trecx.exits": {"trecx.policies", "trecx.task"},
    "trecx.bundle": {"trecx.tflite", "trecx.ir", "trecx.policies"},
    "trecx.codegen": {"trecx.ir", "trecx.policies"},
    "trecx.targets": set(),
    "trecx.reports": {"trecx.ir", "trecx.policies"},
    "trecx.search": {"trecx.policies", "trecx.task"},
}
JOINS_STAGES = ("trecx.pipeline", "trecx.cli", "trecx.stages")
MAY_BE_HEAVY = ("trecx.exits", "trecx.tflite.convert", "mlperf_tiny")


def modules():
    for package in ("trecx", "mlperf_tiny"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports(path, *, only_at_import_time):
    """Names of imported modules; optionally only those that run when the module is imported."""
    tree = ast.parse(path.read_text())
    lazy = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            lazy.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if only_at_import_time and id(node) in lazy:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module):
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "trecx" and len(parts) > 1 else parts[0]


MODULES = list(modules())


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_follow_the_design(name, path):
    for imported in imports(path, only_at_import_time=False):
        if name.startswith("trecx") and imported.split(".")[0] == "mlperf_tiny":
            pytest.fail(f"{name} imports {imported}: tasks are found through the entry point")
        if not name.startswith("trecx.") or name.startswith(JOINS_STAGES):
            continue
        part, other = part_of(name), part_of(imported)
        if other in (
            "trecx",
            "trecx.__version__",
            "trecx.errors",
            "trecx.files",
            "trecx.quiet",
            "trecx.typed",
            part,
        ):
            continue
        if other.startswith("trecx."):
            assert other in ALLOWED[part], f"{name} may not import {imported}"


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_no_heavy_imports_outside_training(name, path):
    if name.startswith(MAY_BE_HEAVY):
        return
    for imported in imports(path, only_at_import_time=True):
        assert imported.split(".")[0] not in HEAVY, f"{name} imports {imported} at import time"


LIGHT = (
    "trecx.cli",
    "trecx.bundle",
    "trecx.codegen.compiler",
    "trecx.ir.interpreter",
    "trecx.policies",
    "trecx.reports",
    "trecx.targets",
    "trecx.tflite.importer",
    "trecx.tflite.cut",
    "trecx.tflite.link",
)


def test_compiler_side_loads_without_training_packages():
    code = (
        f"import importlib, sys\nfor m in {LIGHT!r}: importlib.import_module(m)\n"
        f"print(sorted(set(m.split('.')[0] for m in sys.modules) & {HEAVY!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_generated_code_rules_hold_for_the_kernels():
    """Kernels have no ISA #if in their bodies, no float, no heap."""
    for path in sorted((ROOT / "deploy" / "kernels").rglob("*.[ch]")):
        text = path.read_text()
        assert "malloc(" not in text, path
        assert "#if defined(__ARM_FEATURE" not in text, path
        for word in ("float ", "double "):
            code = "\n".join(line.split("//")[0].split("/*")[0] for line in text.splitlines())
            assert f"\n{word}" not in code and f"  {word}" not in code, (path, word)
