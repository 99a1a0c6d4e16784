"""The pipeline, stage by stage. Every function loads what it needs when it is called.

Task -> train -> run folder -> export -> bundle -> compile -> C library -> run -> report
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from trecx.stages.data import DataChoice

SYNTHETIC_DATA = DataChoice()


def train(
    task_name: str,
    data: DataChoice = SYNTHETIC_DATA,
    *,
    recipe_name: str | None = None,
    epochs: int | None = None,
    model_file: Path | None = None,
    exit_at: Sequence[str] = (),
    run_dir: Path | None = None,
    resume: bool = False,
    progress=None,
    **options,
):
    """Train a task's network, or a user's, by a recipe; returns trecx.exits.TrainedModel.

    options: tensorboard, all_devices; see trecx.exits.train.
    """
    from trecx.exits import train as _needs_keras  # noqa: F401  (or says what to install)
    from trecx.stages.recipes import load_network
    from trecx.stages.training import recipe_for, require_places
    from trecx.task import find_task

    task = find_task(task_name)
    network = None if model_file is None else load_network(model_file)
    recipe = recipe_for(task, recipe_name, epochs=epochs, exit_at=exit_at, network=network)
    require_places(recipe, task, network)
    return train_recipe(
        task,
        recipe,
        data,
        model_file=model_file,
        run_dir=run_dir,
        resume=resume,
        progress=progress,
        **options,
    )


def train_recipe(
    task,
    recipe,
    data: DataChoice = SYNTHETIC_DATA,
    *,
    model_file: Path | None = None,
    run_dir: Path | None = None,
    resume: bool = False,
    progress=None,
    **options,
):
    """As `train`, with a task and a recipe as objects."""
    from trecx.exits import train
    from trecx.stages.training import no_empty_folder_left, require_model_file, start_network

    if model_file is not None:
        require_model_file(model_file)
    run_dir = Path(run_dir or Path("runs") / f"{task.name}-{recipe.name}")
    splits = data.load(task)
    base = None if model_file is None else start_network(model_file, task, splits)
    with no_empty_folder_left(run_dir):
        return train(
            task,
            recipe,
            splits,
            run_dir,
            seed=data.seed,
            resume=resume,
            progress=progress,
            base=base,
            **options,
        )


def export(
    run_dir: Path,
    out: Path,
    choice,
    data: DataChoice = SYNTHETIC_DATA,
    *,
    base_run: Path | None = None,
    limit: int | None = None,
    progress=None,
):
    """Quantise, cut, calibrate and write the bundle of a run; returns trecx.bundle.Bundle."""
    from trecx.stages.exporting import export as export_run
    from trecx.stages.training import task_of_run

    splits = data.load(task_of_run(run_dir))
    return export_run(
        run_dir, out, splits, choice, base_run=base_run, limit=limit, progress=progress
    )


def calibrate(
    bundle_path: Path,
    choice,
    data: DataChoice = SYNTHETIC_DATA,
    *,
    limit: int | None = None,
    progress=None,
):
    """Choose a bundle's exit policies anew and rewrite its manifest; returns the bundle."""
    from trecx.bundle import read_bundle
    from trecx.stages.calibrating import recalibrate
    from trecx.task import find_task

    bundle = read_bundle(bundle_path)
    splits = data.load(find_task(bundle.task))
    return recalibrate(bundle, splits, choice, limit=limit, progress=progress)


def compile(path: Path, target: str, out: Path, **options):
    """Compile a bundle or a .tflite file to C; returns trecx.codegen.compiler.CompiledModel."""
    from trecx.stages.compiling import compile_to

    return compile_to(path, target, out, **options)


def compile_together(paths, target: str, out: Path, **options):
    """Compile several (prefix, path) to one library; returns a CompiledModel each."""
    from trecx.stages.compiling import compile_together

    return compile_together(paths, target, out, **options)


def run(
    path: Path,
    target: str,
    *,
    compiling: Mapping[str, object] = MappingProxyType({}),
    data: DataChoice = SYNTHETIC_DATA,
    limit: int | None = None,
    input_file: Path | None = None,
    label_file: Path | None = None,
    oracle: str | None = "interpreter",
    jobs: int = 2,
    keep: Path | None = None,
    sanitize: bool = False,
    progress=None,
):
    """Run samples on a target and compare with an oracle; returns trecx.reports.run.RunReport."""
    from trecx.stages.chain import load_chain
    from trecx.stages.compiling import compile_for, require_fit
    from trecx.stages.running import (
        HOST_TFLITE,
        report_of,
        require_tools,
        run_on,
        run_on_tflite,
    )
    from trecx.stages.samples import choose_samples

    chain = load_chain(path)
    if target == HOST_TFLITE:
        samples = choose_samples(chain, input_file, label_file, data, limit)
        return run_on_tflite(chain, samples, progress)
    model = compile_for(chain, target, **compiling)
    require_fit(model, target)
    require_tools(target)
    samples = choose_samples(chain, input_file, label_file, data, limit)
    found = run_on(
        chain,
        model,
        target,
        samples.x,
        oracle=oracle,
        out=keep,
        jobs=jobs,
        sanitize=sanitize,
        progress=progress,
    )
    return report_of(found, samples)


def profile(
    path: Path,
    target: str,
    *,
    compiling: Mapping[str, object] = MappingProxyType({}),
    data: DataChoice = SYNTHETIC_DATA,
    limit: int | None = None,
    input_file: Path | None = None,
    preset: str | None = None,
    base: bool = False,
    jobs: int = 2,
    progress=None,
):
    """Count instructions by path and layer; returns trecx.reports.profile.ProfileReport.

    preset: the real board that time and energy are estimated for. base: the bundle's network
    without exits too.
    """
    from trecx.stages import profiling
    from trecx.stages.chain import load_chain
    from trecx.stages.compiling import compile_for, require_fit
    from trecx.stages.running import require_tools
    from trecx.stages.samples import choose_samples

    chain = load_chain(path)
    chosen = profiling.choose_preset(preset, target)
    require_tools(target)
    chains = [chain, *([profiling.base_chain(chain)] if base else [])]
    models = [compile_for(c, target, **compiling) for c in chains]
    found = []
    for c, model in zip(chains, models, strict=True):
        require_fit(model, target)
        samples = choose_samples(c, input_file, None, data, limit)
        found.append(
            profiling.measure(
                model,
                target,
                samples.x,
                chosen,
                jobs=jobs,
                what=f"profiling {model.prefix}",
                progress=progress,
            )
        )
    return profiling.profile_report(found[0], target, samples, *found[1:])


def measure(
    bundle_path: Path,
    *,
    base: Path | None = None,
    boards: Sequence[str] = (),
    compiling: Mapping[str, object] = MappingProxyType({}),
    data: DataChoice = SYNTHETIC_DATA,
    limit: int | None = None,
    jobs: int = 2,
    progress=None,
):
    """Base network against early exit, board by board; returns
    trecx.reports.boards.BoardsMeasuredReport.

    base: the network without exits, when the bundle has none. boards: names; all without.
    """
    from trecx.bundle import read_bundle
    from trecx.stages import boards_measuring as measuring
    from trecx.stages.chain import load_chain
    from trecx.stages.running import require_tools
    from trecx.stages.samples import from_split
    from trecx.task import find_task

    chosen = measuring.emulated_boards(boards)
    task = find_task(read_bundle(bundle_path).task)
    chain = load_chain(bundle_path)
    chains = {measuring.BASE: measuring.base_of(chain, base), measuring.EARLY_EXIT: chain}
    for board in chosen:
        require_tools(board.name)
    splits = data.load(task)
    contenders = [
        measuring.Contender(name, c, from_split(splits, c.graphs[0], limit))
        for name, c in chains.items()
    ]
    return measuring.measure_boards(
        *contenders,
        chosen,
        skip_unfit=not boards,
        compiling=compiling,
        jobs=jobs,
        progress=progress,
    )


def build(path: Path, target: str, out: Path, app: str, **options):
    """Build an application around a model; returns trecx.stages.firmware.BuildSummary."""
    from trecx.stages.chain import load_chain
    from trecx.stages.compiling import compile_for, require_fit
    from trecx.stages.firmware import BuildSummary, build_application

    chain = load_chain(path)
    model = compile_for(chain, target, **options)
    require_fit(model, target)
    return BuildSummary(build_application(chain, model, target, out, app), model)


@contextmanager
def serve(
    path: Path, target: str, *, link: Path | None = None, preset: str | None = None, **options
):
    """A bundle as an MLPerf Tiny device in the emulator; yields its PseudoTerminal and the words
    for what its time stamps mean."""
    import tempfile

    from trecx.stages import benchmark
    from trecx.stages.chain import load_chain
    from trecx.stages.compiling import compile_for, require_fit
    from trecx.targets.mlperf_dut import DutServer, PseudoTerminal

    chain = load_chain(path)
    model = compile_for(chain, target, **options)
    require_fit(model, target)
    base, words = benchmark.time_base(chain, model, target, preset)
    with tempfile.TemporaryDirectory() as folder:
        firmware = benchmark.build_device(chain, model, target, Path(folder), base)
        with DutServer(firmware) as server, PseudoTerminal(server, link) as terminal:
            yield terminal, words


def benchmark(
    mode: str,
    path: Path,
    target: str,
    *,
    port: Path | None = None,
    baud: int = 115200,
    preset: str | None = None,
    compiling: Mapping[str, object] = MappingProxyType({}),
    data: DataChoice = SYNTHETIC_DATA,
    limit: int | None = None,
    seconds: float = 10.0,
    progress=None,
):
    """Drive an MLPerf Tiny device; returns trecx.stages.benchmark.BenchmarkReport.

    mode: "performance" or "accuracy". port: a serial line; None: the emulated device.
    """
    from trecx.stages import benchmark
    from trecx.stages.chain import load_chain

    return benchmark.run_mode(
        mode,
        load_chain(path),
        target,
        port=port,
        baud=baud,
        preset=preset,
        compiling=compiling,
        data=data,
        limit=limit,
        seconds=seconds,
        progress=progress,
    )


def package(path: Path, target: str, out: Path, kind: str, version: str, **options):
    """A model as a package of C; returns trecx.stages.packaging.PackageSummary."""
    from trecx.stages.chain import load_chain
    from trecx.stages.compiling import compile_for, require_fit
    from trecx.stages.packaging import export_package

    chain = load_chain(path)
    model = compile_for(chain, target, **options)
    require_fit(model, target)
    return export_package(chain, model, target, out, kind, version)


def boards(path: Path | None = None, **options):
    """Boards, and what a model needs on each; returns trecx.stages.boards.BoardsReport."""
    from trecx.stages.boards import boards_report

    return boards_report(path, **options)


def doctor():
    """What is installed; returns trecx.stages.boards.DoctorReport."""
    from trecx.stages.boards import doctor_report

    return doctor_report()


def flops(path: Path, base: Path | None = None):
    """Operations by layer, segment and path; returns trecx.reports.flops.FlopsReport."""
    from trecx.stages.flops import flops_of

    return flops_of(path, base)


def memory(path: Path, target: str, **options):
    """The arena of a model compiled for a target; returns trecx.reports.memory.MemoryReport."""
    from trecx.stages.analysis import memory_report
    from trecx.stages.chain import load_chain
    from trecx.stages.compiling import compile_for

    return memory_report(compile_for(load_chain(path), target, **options))


def analysis(
    bundle_path: Path,
    data: DataChoice = SYNTHETIC_DATA,
    *,
    limit: int | None = None,
    progress=None,
):
    """Accuracy, benefit and overthinking; returns trecx.stages.analysis.BundleAnalysis."""
    from trecx.bundle import read_bundle
    from trecx.stages.analysis import BundleAnalysis
    from trecx.task import find_task

    splits = data.load(find_task(read_bundle(bundle_path).task))
    return BundleAnalysis(bundle_path, splits, limit, progress)


def compare(
    task_name: str,
    methods: Sequence[str] = (),
    runs: Sequence[str] = (),
    data: DataChoice = SYNTHETIC_DATA,
    *,
    out: Path,
    terms=None,
    training=None,
    progress=None,
    **choices,
):
    """Train `methods` or load `runs`, and compare; returns trecx.reports.comparison's report.

    terms: trecx.stages.contenders.Terms. choices: template, epochs, model_file, with `methods`.
    """
    from trecx.stages.comparing import compare_runs, train_and_compare
    from trecx.stages.contenders import Terms
    from trecx.task import find_task

    task, terms = find_task(task_name), terms or Terms()
    if runs:
        return compare_runs(task, runs, data, out, terms, progress=progress)
    return train_and_compare(
        task, methods, data, out, terms, training=training, progress=progress, **choices
    )


def search(
    task_name: str,
    data: DataChoice = SYNTHETIC_DATA,
    *,
    out: Path,
    space=None,
    settings=None,
    recipe_name: str | None = None,
    **options,
):
    """Search for the best exits; returns trecx.reports.search.SearchReport.

    space: trecx.stages.searching.Space. settings: trecx.search.Settings. options: policy,
    model_file, engine, progress.
    """
    from trecx.search import Settings
    from trecx.stages.searching import Space
    from trecx.stages.searching import search as search_exits
    from trecx.stages.training import recipe_for
    from trecx.task import find_task

    task = find_task(task_name)
    recipe = recipe_for(task, recipe_name)
    return search_exits(
        task, data, out, space or Space(), settings or Settings(), recipe=recipe, **options
    )


def inspect(path: Path):
    """What a .tflite file holds; returns trecx.stages.files.InspectionReport."""
    from trecx.stages.files import inspect_file

    return inspect_file(path)


def cut(path: Path, out: Path, **where) -> list[Path]:
    """Cut a .tflite file into segments; returns the files written."""
    from trecx.stages.files import cut_file

    return cut_file(path, out, **where)


def verify(path: Path, input_file: Path | None = None, **options):
    """Re-check a bundle; returns trecx.stages.files.VerificationReport."""
    from trecx.stages.files import verify_files

    return verify_files(path, input_file, **options)


def export_tflm(bundle_path: Path, out: Path, prefix: str | None = None):
    """A bundle as C arrays for TensorFlow Lite Micro; returns what was written for each model."""
    from trecx.bundle import read_bundle
    from trecx.bundle.tflm_export import export_tflm as export
    from trecx.targets.deploy_path import deploy_path

    bundle = read_bundle(bundle_path)
    return export(bundle, out, deploy_path(), prefix or bundle.task)
