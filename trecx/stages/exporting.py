"""From a trained run to a bundle: convert once to int8, cut at the exits, calibrate, describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trecx.bundle import MANIFEST, DataFacts, write_bundle
from trecx.errors import InputError
from trecx.files import require_replaceable
from trecx.stages.calibrating import Choice, choose_policies
from trecx.stages.outputs import spread
from trecx.task import DataSplits
from trecx.tflite.cut import cut
from trecx.tflite.importer import read_graph

REPRESENTATIVE_SAMPLES = 500


def export(
    run_dir: Path,
    out: Path,
    data: DataSplits,
    choice: Choice,
    *,
    base_run: Path | None = None,
    limit: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
):
    """Write the bundle of a trained run; returns it.

    data: the splits the run was trained on; `train` sets the quantisation ranges, `calibration`
    the exit policies, `test` the reported figures. base_run: a run of the network without exits,
    exported beside for comparison. limit: at most so many samples of each split. progress: called
    with (what, done, all).

    Raises InputError when the data are not those of the run, and the errors of every stage.
    """
    from trecx.exits import load_trained

    require_replaceable(out, MANIFEST)
    say = progress or (lambda what, done, count: None)
    trained = load_trained(run_dir)
    require_same_data(run_dir, trained, data)
    base_trained = None
    if base_run is not None:
        base_trained = load_trained(base_run)
        require_same_data(base_run, base_trained, data)
        if len(base_trained.model.outputs) > 1:
            raise InputError(f"the base network must have no exits, the one in {base_run} has some")
    say("quantising to int8", 0, 1)
    full, parts = quantised_segments(trained.model, data)
    base = None
    if base_trained is not None:
        base, _ = quantised_segments(base_trained.model, data)
    say("quantising to int8", 1, 1)
    graphs = [read_graph(part) for part in parts]
    base_graph = None if base is None else read_graph(base)
    found = choose_policies(graphs, data, choice, base_graph, trained.exit_policy, limit, say)
    return write_bundle(
        out,
        task=trained.task,
        labels=trained.labels,
        data=DataFacts(trained.data, trained.synthetic),
        training={
            "recipe": trained.recipe.to_json(),
            "seed": trained.seed,
            "epochs": len(trained.history),
        },
        full=full,
        segments=parts,
        base=base,
        policies=found.policies,
        calibration=found.calibration,
        test=found.test,
    )


def require_same_data(run_dir: Path, run, data: DataSplits) -> None:
    """InputError unless a run, of which only `data` and `labels` are read, had these data."""
    if (run.data, run.labels) != (data.name, tuple(data.labels)):
        raise InputError(
            f"{run_dir} was trained on {run.data!r} with {len(run.labels)} classes; the data "
            f"given are {data.name!r} with {len(data.labels)}: give the same data"
        )


def quantised_segments(model, data: DataSplits) -> tuple[bytes, list[bytes]]:
    """The int8 network with all its outputs, and its segments."""
    from trecx.tflite.convert import convert

    samples = data.train.inputs(spread(len(data.train), REPRESENTATIVE_SAMPLES))
    converted = convert(model, samples)
    if not converted.exits:
        return converted.content, [converted.content]
    return converted.content, cut(converted.content, converted.exits)
