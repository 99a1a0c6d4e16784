"""A bundle as an MLPerf Tiny device under test, and our host side that drives one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.codegen.compiler import CompiledModel, write_library
from trecx.errors import InputError
from trecx.reports.document import SYNTHETIC, Document, Facts, Note, count, percent
from trecx.stages.chain import Chain
from trecx.stages.compiling import compile_for, require_fit
from trecx.stages.data import DataChoice
from trecx.stages.outputs import quantise, spread
from trecx.stages.profiling import choose_preset, measure
from trecx.stages.running import COMPILER_LEVEL
from trecx.targets import mlperf_host
from trecx.targets.boards import load_board
from trecx.targets.build import Firmware
from trecx.targets.deploy_path import deploy_path
from trecx.targets.mlperf_dut import (
    MODEL_IDS,
    DutModel,
    DutServer,
    InputKind,
    TimeBase,
    build_dut,
)
from trecx.task import DataSplits, Task, find_task

PERFORMANCE, ACCURACY = "performance", "accuracy"
PERFORMANCE_INPUTS = 5  # the rules' number of runs, of which the median counts
_TIME_SAMPLES = 4


@dataclass(frozen=True)
class BenchmarkReport:
    """Figures of one mode over the serial line. figures: what mlperf_host found."""

    figures: mlperf_host.Performance | mlperf_host.Accuracy
    device: str
    time: str
    data: str
    synthetic_data: bool

    def to_json(self) -> dict:
        return (
            {"report": "mlperf"}
            | self.figures.to_json()
            | {
                "device": self.device,
                "time": self.time,
                "data": self.data,
                "synthetic_data": self.synthetic_data,
            }
        )

    def document(self) -> Document:
        found = self.figures
        rows = [("device", self.device), ("model", found.model), ("data", self.data)]
        if isinstance(found, mlperf_host.Performance):
            rates = ", ".join(f"{rate:.2f}" for rate in found.throughputs)
            rows += [("inferences a second", rates), ("median", f"{found.median:.2f}")]
        else:
            rows += [("inputs", count(len(found.scores))), (found.metric, percent(found.value, 2))]
        notes = [Note(f"Time: {self.time}.")] + ([SYNTHETIC] if self.synthetic_data else [])
        mode = PERFORMANCE if isinstance(found, mlperf_host.Performance) else ACCURACY
        return Document(f"MLPerf Tiny, {mode} mode", (Facts(tuple(rows)), *notes))


def dut_model(chain: Chain) -> DutModel:
    """What the benchmark needs to know of a bundle: its task decides what the host sends.

    Pixels travel as bytes, the features of kws as the model's own int8, anomaly detection as
    float32, as the benchmark's own runner has them. Raises InputError for another task.
    """
    task = _task(chain)
    first = chain.graphs[0].inputs[0]
    kind, scale = _input_kind(task)
    return DutModel(
        f"{task.name}01",
        kind,
        first.size,
        first.scale,
        first.zero_point,
        tuple((g.outputs[0].scale, g.outputs[0].zero_point) for g in chain.graphs),
        pixel_scale=scale,
        anomaly=task.kind == "anomaly",
    )


def build_device(
    chain: Chain, model: CompiledModel, target: str, out: Path, time_base: TimeBase | None = None
) -> Firmware:
    """The benchmark's firmware for a compiled bundle, in `out`."""
    dut, library = dut_model(chain), out / "c"
    return build_dut(
        write_library(model, deploy_path(), library),
        load_board(target),
        out,
        model=f"{model.prefix}_model",
        dut=dut,
        include_dirs=[library],
        time_base=time_base,
        optimize=COMPILER_LEVEL[model.options.optimize.value],
        flash_bytes=model.weight_bytes,
        ram_bytes=model.plan.arena_bytes,
    )


def time_base(
    chain: Chain, model: CompiledModel, target: str, preset: str | None, jobs: int = 2
) -> tuple[TimeBase | None, str]:
    """How the device's time stamps count, and that in words.

    preset: a real board whose estimated cycles a few random inferences are profiled for.
    """
    if preset is None:
        board = load_board(target)
        return None, f"one instruction a cycle at {board.clock_hz / 1e6:g} MHz, emulated"
    chosen = choose_preset(preset, target)
    shape = (_TIME_SAMPLES, *chain.graphs[0].inputs[0].shape[1:])
    x = np.random.default_rng(0).integers(-128, 128, shape, np.int8)
    found = measure(model, target, x, chosen, jobs=jobs, what="estimating cycles")
    if found.estimate is None:
        raise InputError(f"cycles cannot be estimated here: {found.profile.note}")
    ratio = found.estimate.mean.nominal / found.profile.statistics()["mean"]
    words = f"estimated, {ratio:.2f} cycles an instruction on {chosen.title}"
    return TimeBase(chosen.clock_hz, ratio), words


def run_mode(
    mode: str,
    chain: Chain,
    target: str,
    *,
    port: Path | None,
    baud: int,
    preset: str | None,
    compiling: Mapping[str, object],
    data: DataChoice,
    limit: int | None,
    seconds: float,
    progress: Callable[[str, int, int], None] | None = None,
) -> BenchmarkReport:
    """One mode of the benchmark against the device on `port`, or an emulated one.

    seconds: of the device's time for each run of the performance mode. limit: at most so many
    inputs of the test split; the performance mode takes the first five.
    """
    splits = data.load(_task(chain))
    inputs, labels = raw_inputs(chain, splits, PERFORMANCE_INPUTS if mode == PERFORMANCE else limit)

    def say(done: int, count: int) -> None:
        if progress is not None:
            progress(f"{mode} mode", done, count)

    if port is None:
        device = _emulated_device(chain, target, preset, compiling)
    else:
        device = _device_on_port(chain, port, baud)
    with device as (dut, where, words):
        if mode == PERFORMANCE:
            figures = mlperf_host.performance(dut, inputs, seconds=seconds, progress=say)
        else:
            figures = mlperf_host.accuracy(dut, inputs, labels, progress=say)
    name = f"{splits.name}, test split"
    return BenchmarkReport(figures, where, words, name, splits.synthetic)


@contextmanager
def _emulated_device(chain: Chain, target: str, preset: str | None, compiling):
    """The device in the emulator, ready for commands; with its place and the meaning of time."""
    model = compile_for(chain, target, **compiling)
    require_fit(model, target)
    base, words = time_base(chain, model, target, preset)
    with tempfile.TemporaryDirectory() as folder:
        firmware = build_device(chain, model, target, Path(folder), base)
        with DutServer(firmware) as server:
            yield mlperf_host.Dut(mlperf_host.Link.over(server.line)), f"{target}, emulated", words


@contextmanager
def _device_on_port(chain: Chain, port: Path, baud: int):
    """As _emulated_device, a device on a serial line or a pseudo-terminal.

    Raises InputError unless it holds a model of the bundle's benchmark.
    """
    link = mlperf_host.Link.open(port, baud)
    try:
        dut = mlperf_host.Dut(link)
        dut.synchronise()
        _, found = dut.profile()
        if found != dut_model(chain).id:
            raise InputError(
                f"the device runs {found!r}, the bundle is for {dut_model(chain).id!r}"
            )
        yield dut, str(port), "as the device says"
    finally:
        link.close()


def raw_inputs(chain: Chain, data: DataSplits, limit: int | None) -> tuple[list[bytes], np.ndarray]:
    """Samples of the test split as the host sends them, and their labels."""
    task = _task(chain)
    chosen = spread(len(data.test), limit)
    x = data.test.inputs(chosen)
    kind, scale = _input_kind(task)
    if kind is InputKind.UINT8:
        x = np.clip(np.rint(x / np.float32(scale)), 0, 255).astype(np.uint8)
    elif kind is InputKind.INT8:
        x = quantise(x, chain.graphs[0])
    else:
        x = x.astype("<f4")
    return [sample.tobytes() for sample in x], np.asarray(data.test.labels)[chosen]


def _task(chain: Chain) -> Task:
    task = find_task(chain.bundle.task) if chain.bundle is not None else None
    if task is None or f"{task.name}01" not in MODEL_IDS:
        known = ", ".join(name.removesuffix("01") for name in MODEL_IDS)
        raise InputError(f"the benchmark knows the tasks {known}: give a bundle of one of them")
    return task


def _input_kind(task: Task) -> tuple[InputKind, float]:
    """What the host sends, and the real value of one step of a pixel."""
    low, high = task.input_range
    if task.kind == "anomaly":
        return InputKind.FLOAT32, 1.0
    if low == 0.0 and high in (1.0, 255.0):
        return InputKind.UINT8, high / 255.0
    return InputKind.INT8, 1.0
