"""Compile kernel calls into one test program and run it, on the host or on an emulated Cortex-M.

    cases = [KernelCase(steps, inputs, output, data), ...]
    results = run_cases(cases, HOST_SANITIZED)
    results = run_cases(cases, CORTEX_M4)       # all cases in one ELF and one start of QEMU

A case is a list of `Step`s (usually one) that compute `output` from `inputs`; data holds one int8
array of shape (samples, *tensor shape) for each input. Buffers are exactly as large as their
tensors, 16-byte aligned, with guard bytes (host with sanitizers: red zones) on both sides;
scratch is only 8-byte aligned and full of rubbish. A write outside a buffer fails the run.

On the emulated cores the result carries an instruction count for the last sample (SysTick under
`-icount`; granularity about 40 instructions).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trecx.codegen.lowering import Blob, Step
from trecx.ir.graph import Tensor

SUPPORT = Path(__file__).resolve().parent
ROOT = SUPPORT.parents[1]
DEPLOY = ROOT / "deploy"
CACHE = ROOT / "build" / "test-objects"
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class Platform:
    """A compiler and a way to run its programs.

    machine: QEMU's name, None on the host. code, ram: (address, bytes) for the linker script.
    picoseconds_per_tick: of SysTick.
    """

    name: str
    compiler: str
    flags: tuple[str, ...]
    machine: str | None = None
    code: tuple[int, int] = (0, 0)
    ram: tuple[int, int] = (0, 0)
    picoseconds_per_tick: int = 0


_ARM = ("-mthumb", "-O2", "-ffunction-sections", "-fdata-sections")
_MPS2 = {"code": (0, 4 << 20), "ram": (0x20000000, 4 << 20), "picoseconds_per_tick": 40_000}

HOST = Platform("host", "gcc", ("-O2",))
HOST_SANITIZED = Platform(
    "host-sanitized",
    "gcc",
    ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)
CORTEX_M3 = Platform(
    "cortex-m3", "arm-none-eabi-gcc", ("-mcpu=cortex-m3", *_ARM), "mps2-an385", **_MPS2
)
CORTEX_M4 = Platform(
    "cortex-m4",
    "arm-none-eabi-gcc",
    ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", *_ARM),
    "mps2-an386",
    **_MPS2,
)
CORTEX_M7 = Platform(
    "cortex-m7",
    "arm-none-eabi-gcc",
    ("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16", *_ARM),
    "mps2-an500",
    **_MPS2,
)
CORTEX_M33 = Platform(
    "cortex-m33",
    "arm-none-eabi-gcc",
    ("-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16", *_ARM),
    "mps2-an505",
    code=(0x10000000, 4 << 20),
    ram=(0x38000000, 4 << 20),
    picoseconds_per_tick=50_000,
)
CORTEX_M55 = Platform(
    "cortex-m55",
    "arm-none-eabi-gcc",
    ("-mcpu=cortex-m55", "-mfloat-abi=hard", *_ARM),
    "mps3-an547",
    code=(0, 512 << 10),
    ram=(0x20000000, 512 << 10),
    picoseconds_per_tick=31_250,
)


@dataclass(eq=False)
class KernelCase:
    """Kernel calls that compute one tensor.

    overlap: (input position, gap) to run with the output beginning `gap` bytes before that input
    in one buffer; None: separate buffers.
    """

    steps: Sequence[Step]
    inputs: Sequence[Tensor]
    output: Tensor
    data: Sequence[np.ndarray]
    overlap: tuple[int, int] | None = None

    @property
    def samples(self) -> int:
        return len(self.data[0])

    def tensors(self) -> list[Tensor]:
        """Inputs, then the output, then any intermediate tensor: the order of the buffers."""
        found = [*self.inputs, self.output]
        for step in self.steps:
            for tensor in (*step.inputs, *step.outputs):
                if not any(tensor is t for t in found):
                    found.append(tensor)
        return found


@dataclass
class KernelResult:
    """output: int8 array (samples, *shape). instructions: of the last sample; 0 on the host."""

    output: np.ndarray
    instructions: int


class KernelRunError(AssertionError):
    """The test program did not compile, crashed, or wrote outside a buffer."""


def operator_case(
    op, steps: Sequence[Step], data: Sequence[np.ndarray], overlap=None
) -> KernelCase:
    """A case for one operator and the steps of one lowering."""
    return KernelCase(steps, op.activation_inputs, op.output, data, overlap)


def overlap_cases(case: KernelCase, alignment: int = 16) -> list[KernelCase]:
    """The same case in every overlap that its step declares, at the smallest aligned distance."""
    if len(case.steps) != 1:
        return []
    step = case.steps[0]
    found = []
    for position, gap in step.overlap.items():
        index = next(i for i, t in enumerate(case.inputs) if t is step.inputs[position])
        aligned = -(-gap // alignment) * alignment
        found.append(KernelCase(case.steps, case.inputs, case.output, case.data, (index, aligned)))
    return found


def run_cases(cases: Sequence[KernelCase], platform: Platform) -> list[KernelResult]:
    """Build one program of all cases, run it once, and read the outputs back.

    Raises:
        KernelRunError: with the compiler's, the sanitizer's or the program's message.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        program = _build(cases, platform, work)
        (work / "cases.in").write_bytes(_input_bytes(cases))
        _execute(program, platform, work)
        return _parse_outputs(cases, (work / "cases.out").read_bytes())


def _input_bytes(cases: Sequence[KernelCase]) -> bytes:
    parts = []
    for case in cases:
        for sample in range(case.samples):
            parts.extend(np.ascontiguousarray(d[sample], np.int8).tobytes() for d in case.data)
    return b"".join(parts)


def _parse_outputs(cases: Sequence[KernelCase], raw: bytes) -> list[KernelResult]:
    results, at = [], 0
    for case in cases:
        size = case.samples * case.output.nbytes
        output = np.frombuffer(raw, np.int8, size, at).reshape(case.samples, *case.output.shape)
        count = int(np.frombuffer(raw, np.uint32, 1, at + size)[0])
        results.append(KernelResult(output, count))
        at += size + 4
    if at != len(raw):
        raise KernelRunError(f"the program wrote {len(raw)} bytes, expected {at}")
    return results


# --- building --------------------------------------------------------------------------------


def _build(cases: Sequence[KernelCase], platform: Platform, work: Path) -> Path:
    sources = sorted({s for case in cases for step in case.steps for s in step.sources})
    objects = [_object(DEPLOY / "kernels" / source, platform) for source in sources]
    defines = [f"-DPICOSECONDS_PER_TICK={platform.picoseconds_per_tick}"]
    if "sanitize" in " ".join(platform.flags):
        defines.append("-DKERNEL_RUNNER_SANITIZED")
    objects.append(_object(SUPPORT / "kernel_runner.c", platform, defines))
    kind = "qemu" if platform.machine else "host"
    objects.append(_object(SUPPORT / f"kernel_platform_{kind}.c", platform, defines))
    text = work / "cases.c"
    text.write_text(_cases_source(cases))
    program = work / "program"
    link = []
    if platform.machine:
        script = work / "link.ld"
        script.write_text(_linker_script(platform))
        link = ["-nostartfiles", "--specs=nosys.specs", "-T", str(script), "-Wl,--gc-sections"]
    _call(
        [
            platform.compiler,
            *platform.flags,
            *WARNINGS,
            f"-I{DEPLOY / 'include'}",
            f"-I{SUPPORT}",
            str(text),
            *map(str, objects),
            *link,
            "-o",
            str(program),
        ]
    )
    return program


def _object(source: Path, platform: Platform, defines: Sequence[str] = ()) -> Path:
    """Object file of a source, compiled once for its contents, headers and flags."""
    command = [platform.compiler, *platform.flags, *WARNINGS, *defines]
    command += [f"-I{DEPLOY / 'include'}", f"-I{SUPPORT}"]
    headers = [*sorted((DEPLOY / "include").rglob("*.h")), SUPPORT / "kernel_runner.h"]
    headers += sorted(source.parent.glob("*.h"))
    digest = hashlib.sha256("\0".join(command).encode())
    for path in [source, *headers]:
        digest.update(path.read_bytes())
    target = CACHE / f"{source.stem}-{digest.hexdigest()[:24]}.o"
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.{os.getpid()}")
        _call([*command, "-c", str(source), "-o", str(temporary)])
        temporary.replace(target)
    return target


def _linker_script(platform: Platform) -> str:
    code, code_size = platform.code
    ram, ram_size = platform.ram
    return f"""MEMORY {{
  CODE (rx) : ORIGIN = {code:#x}, LENGTH = {code_size:#x}
  RAM (rw) : ORIGIN = {ram:#x}, LENGTH = {ram_size:#x}
}}
ENTRY(vectors)
SECTIONS {{
  .text : {{ KEEP(*(.vectors)) *(.text*) *(.rodata*) }} > CODE
  .ARM.exidx : {{ *(.ARM.exidx*) }} > CODE
  .data : {{ *(.data*) }} > RAM
  .bss : {{ *(.bss*) *(COMMON) }} > RAM
  end = .;
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
}}
"""


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KernelRunError(f"{' '.join(command[:1])} failed:\n{done.stderr[-4000:]}")


def _execute(program: Path, platform: Platform, work: Path) -> None:
    command = [str(program)]
    if platform.machine:
        command = ["qemu-system-arm", "-M", platform.machine, "-nographic", "-monitor", "none"]
        command += ["-serial", "none", "-semihosting-config", "enable=on,target=native"]
        command += ["-icount", "shift=0", "-kernel", str(program)]
    done = subprocess.run(
        command,
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = done.stdout[-2000:] + done.stderr[-4000:]
        raise KernelRunError(f"{platform.name}: exit code {done.returncode}\n{said}")


# --- the generated source --------------------------------------------------------------------


@dataclass
class _Text:
    lines: list[str] = field(default_factory=list)

    def put(self, line: str) -> None:
        self.lines.append(line)


def _cases_source(cases: Sequence[KernelCase]) -> str:
    text = _Text()
    headers = sorted({step.header for case in cases for step in case.steps})
    text.put("#include <stddef.h>")
    text.put('#include "kernel_runner.h"')
    for header in headers:
        text.put(f'#include "trecx/kernels/{header}"')
    entries = [_emit_case(text, case, index) for index, case in enumerate(cases)]
    text.put("const kernel_case kernel_cases[] = {")
    text.lines.extend(entries)
    text.put("};")
    text.put(f"const uint32_t kernel_case_count = {len(cases)};")
    return "\n".join(text.lines) + "\n"


def _emit_case(text: _Text, case: KernelCase, index: int) -> str:
    tensors = case.tensors()
    position = {id(t): i for i, t in enumerate(tensors)}
    calls = []
    for number, step in enumerate(case.steps):
        name = f"c{index}_{number}"
        _emit_params(text, step, name)
        arguments = [f"&{name}"]
        arguments += [f"buffers[{position[id(t)]}]" for t in (*step.inputs, *step.outputs)]
        arguments.append("scratch" if step.scratch_bytes else "NULL")
        calls.append(f"  {step.kernel}({', '.join(arguments)});")
    text.put(f"static void run_{index}(int8_t *const *buffers, void *scratch) {{")
    text.put("  (void)scratch;")
    text.lines.extend(calls)
    text.put("}")
    overlap_input, gap = case.overlap if case.overlap is not None else (-1, -1)
    sizes = ", ".join(str(t.nbytes) for t in tensors)
    scratch = max((s.scratch_bytes for s in case.steps), default=0)
    return (
        f"  {{run_{index}, {len(tensors)}, {len(case.inputs)}, {{{sizes}}}, {scratch}, "
        f"{case.samples}, {overlap_input}, {gap}}},"
    )


def _emit_params(text: _Text, step: Step, name: str) -> None:
    fields = []
    for key, value in step.params.items():
        if isinstance(value, Blob):
            array = _emit_blob(text, value, f"{name}_{key.replace('.', '_')}")
            fields.append(f"  .{key} = {array},")
        elif value is None:
            fields.append(f"  .{key} = NULL,")
        elif isinstance(value, (tuple, list)):
            fields.append(f"  .{key} = {{{', '.join(_c_int(v) for v in value)}}},")
        else:
            fields.append(f"  .{key} = {_c_int(value)},")
    text.put(f"static const {step.params_type} {name} = {{")
    text.lines.extend(fields)
    text.put("};")


def _emit_blob(text: _Text, blob: Blob, name: str) -> str:
    values = [_c_int(v) for v in np.asarray(blob.values).reshape(-1)] or ["0"]
    text.put(
        f"static const {blob.ctype} {name}[{len(values)}] __attribute__((aligned({blob.align}))) ="
        f" {{{', '.join(values)}}};"
    )
    return name


def _c_int(value: object) -> str:
    if isinstance(value, str):
        return value
    number = int(value)
    return "INT32_MIN" if number == -(2**31) else str(number)
