"""Run samples through compiled segments on a target, and compare with the oracle, byte by byte."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.codegen.compiler import CompiledModel, write_library
from trecx.errors import DataError
from trecx.reports.run import Exactness, Memory, RunReport, run_report
from trecx.stages.chain import Chain
from trecx.stages.outputs import run_in_batches
from trecx.stages.runtimes import load_on_tflite, load_on_tflm, run_chain_with
from trecx.stages.samples import RunSamples
from trecx.targets.batch import BatchResult, run_batch
from trecx.targets.boards import load_board
from trecx.targets.build import Firmware, build_firmware
from trecx.targets.deploy_path import deploy_path
from trecx.targets.qemu import require_qemu
from trecx.targets.toolchain import compiler_for, require_extension

HOST_TFLITE = "host-tflite"
ORACLES = {
    "interpreter": "the NumPy interpreter",
    "tflm": "TensorFlow Lite Micro",
    "tflite": "TensorFlow Lite's reference kernels",
}
COMPILER_LEVEL = {"size": "Os", "balanced": "O2", "speed": "O3"}


@dataclass(frozen=True, eq=False)
class Run:
    """What ran where, and what came back. expected: the oracle's answer for every sample."""

    model: CompiledModel
    firmware: Firmware
    result: BatchResult
    expected: Expected | None


@dataclass(frozen=True, eq=False)
class Expected:
    """What an oracle says. exit_index: int (N,). outputs: int8 (N, classes), of the exit taken."""

    name: str
    exit_index: np.ndarray
    outputs: np.ndarray

    def differing(self, result: BatchResult) -> np.ndarray:
        """Indices of samples whose exit or output bytes differ."""
        classes = self.outputs.shape[1]
        wrong = (result.outputs[:, :classes] != self.outputs).any(axis=1)
        return np.flatnonzero(wrong | (result.exit_index != self.exit_index))


def require_tools(target: str) -> None:
    """ToolMissingError without the compiler or the emulator for a target; said before long work."""
    board = load_board(target)
    require_extension(compiler_for(board.core), board.isa, tuple(board.flags))
    if not board.is_host:
        require_qemu()


def build(
    model: CompiledModel, target: str, out: Path, *, app: str = "batch", sanitize: bool = False
) -> Firmware:
    """Compile and link a model for a board: `out`/APP.elf, with the generated C in `out`/c."""
    board = load_board(target)
    library = out / "c"
    sources = write_library(model, deploy_path(), library)
    return build_firmware(
        sources,
        board,
        app,
        out,
        model=f"{model.prefix}_model",
        include_dirs=[library],
        optimize=COMPILER_LEVEL[model.options.optimize.value],
        sanitize=sanitize,
        flash_bytes=model.weight_bytes,
        ram_bytes=model.plan.arena_bytes,
    )


def run_on(
    chain: Chain,
    model: CompiledModel,
    target: str,
    x: np.ndarray,
    *,
    oracle: str | None = "interpreter",
    out: Path | None = None,
    jobs: int = 2,
    sanitize: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Run:
    """Run int8 samples (N, ...) on `target`; see `expected_answers` for the oracle.

    out: folder for the firmware; a temporary one without. sanitize: host only, with the address
    and undefined-behaviour sanitizers. Raises the errors of build and batch.
    """
    if len(x) == 0:
        raise DataError("no samples to run: at least one is needed")
    say = _named(progress)
    with tempfile.TemporaryDirectory() as scratch:
        firmware = build(model, target, out or Path(scratch), sanitize=sanitize)
        result = run_batch(
            firmware, firmware.board, x.reshape(len(x), -1), jobs=jobs, progress=say("running")
        )
        expected = expected_answers(chain, x, oracle, say) if oracle else None
        firmware.sections  # noqa: B018  (read while the file exists; the report needs them)
        return Run(model, firmware, result, expected)


def report_of(run: Run, samples: RunSamples) -> RunReport:
    """The report of a run on labelled or unlabelled samples."""
    result, firmware = run.result, run.firmware
    memory = None
    if not firmware.board.is_host:
        memory = Memory(
            flash={s.name: s.size for s in firmware.sections if s.stored},
            static_ram=firmware.ram_bytes,
            arena=result.arena_bytes,
            stack_used=result.stack_used,
            stack_size=result.stack_size,
        )
    exactness = None
    if run.expected is not None:
        differing = tuple(int(i) for i in run.expected.differing(result))
        exactness = Exactness(run.expected.name, len(result), differing)
    return run_report(
        run.model.prefix,
        firmware.board.name,
        samples.name,
        result.exit_index,
        result.class_index,
        result.segment_count,
        labels=samples.labels,
        instructions=result.instructions,
        memory=memory,
        exactness=exactness,
        synthetic_data=samples.synthetic,
    )


def run_on_tflite(chain: Chain, samples: RunSamples, progress=None) -> RunReport:
    """Run samples on tflite-runtime or LiteRT on this machine, without a compiler.

    Their reference kernels differ from TensorFlow Lite Micro's by one unit in places, in
    FULLY_CONNECTED alone, so nothing is compared here.
    """
    found = expected_answers(chain, samples.x, "tflite", _named(progress))
    return run_report(
        chain.name,
        HOST_TFLITE,
        samples.name,
        found.exit_index,
        np.argmax(found.outputs, axis=1),
        len(chain.graphs),
        labels=samples.labels,
        synthetic_data=samples.synthetic,
    )


def _outputs_of(oracle: str, chain: Chain, x: np.ndarray, progress) -> list[np.ndarray]:
    """First output of every segment, by an interpreter of `ORACLES`."""
    if oracle == "interpreter":
        return run_in_batches(chain.graphs, x, progress)
    load = {"tflm": load_on_tflm, "tflite": load_on_tflite}[oracle]
    return run_chain_with(load, chain, x, progress)


def expected_answers(chain: Chain, x: np.ndarray, oracle: str, say) -> Expected:
    """What every sample must give: exit and output bytes.

    oracle: "interpreter", the integer NumPy one, or "tflm", TensorFlow Lite Micro itself on the
    segments' .tflite files (package tflite-micro).
    """
    outputs = _outputs_of(oracle, chain, x, say(f"running {ORACLES[oracle]}"))
    classes = outputs[-1].shape[1]
    stops = np.full(len(x), len(outputs) - 1)
    for k in reversed(range(len(outputs) - 1)):
        stops[chain.policies[k].decide(outputs[k])] = k
    answers = np.stack([q[:, :classes] for q in outputs])
    return Expected(ORACLES[oracle], stops, answers[stops, np.arange(len(x))])


def _named(progress):
    """From a progress callback (what, done, all) to one (done, all) for each `what`."""

    def say(what: str):
        return lambda done, count: progress(what, done, count) if progress else None

    return say
