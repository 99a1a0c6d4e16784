"""What a comparison compares: trained runs, their int8 bundles, and the answers of these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trecx.bundle import Bundle, DataFacts, read_bundle, write_bundle
from trecx.errors import InputError
from trecx.files import write_atomic
from trecx.ir.graph import Graph
from trecx.policies import (
    Budget,
    ChainOutputs,
    Resamples,
    SplitRole,
    calibrate,
    evaluate,
    family,
)
from trecx.quiet import load_keras
from trecx.stages.calibrating import path_costs
from trecx.stages.exporting import quantised_segments
from trecx.stages.float_outputs import float_chain_outputs
from trecx.stages.outputs import chain_outputs
from trecx.targets.boards import load_board
from trecx.task import DataSplits, Recipe, Task
from trecx.tflite.importer import read_graph

SPLITS = (SplitRole.CALIBRATION, SplitRole.TEST)
Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Terms:
    """What holds for every contender.

    policies: families tried beside the published one of each method. max_accuracy_loss: points
    that the bundles' thresholds may lose against the full depth. limit: at most so many samples
    of each split, evenly spread. target: board for RAM and flash.
    """

    policies: tuple[str, ...] = ()
    max_accuracy_loss: float = 1.0
    limit: int | None = None
    target: str = "mps2-an386"
    resamples: Resamples = field(default_factory=Resamples)

    def __post_init__(self) -> None:
        for policy in self.policies:
            family(policy)
        load_board(self.target)


@dataclass(frozen=True)
class RunFacts:
    """What a finished training run says of itself, without its network.

    epochs: trained; none for a user's network that is taken as it is.
    """

    path: Path
    task: str
    labels: tuple[str, ...]
    recipe: Recipe
    data: str
    synthetic: bool
    seed: int
    epochs: int
    exit_policy: str

    @property
    def has_exits(self) -> bool:
        return bool(self.recipe.exits)


@dataclass(frozen=True, eq=False)
class Contender:
    """A run, exported to int8, with its outputs on both splits.

    outputs: those of the base network stand beside them, once `beside` has been called.
    float_outputs: the same before quantisation.
    """

    name: str
    run: RunFacts
    bundle: Bundle
    outputs: Mapping[SplitRole, ChainOutputs]
    float_outputs: Mapping[SplitRole, ChainOutputs]

    @property
    def policy(self) -> str:
        """Family of the exit policy that the method was published with."""
        return self.run.exit_policy.replace("-", "_")

    def beside(self, base: Contender) -> Contender:
        """With the outputs of the base network."""
        return replace(
            self,
            outputs=_beside(self.outputs, base.outputs),
            float_outputs=_beside(self.float_outputs, base.float_outputs),
        )


def _beside(
    outputs: Mapping[SplitRole, ChainOutputs], base: Mapping[SplitRole, ChainOutputs]
) -> Mapping[SplitRole, ChainOutputs]:
    return {split: replace(o, base=base[split].outputs[-1]) for split, o in outputs.items()}


def read_run(path: Path) -> RunFacts:
    """Read a run folder's description. InputError when it holds no finished run."""
    file = Path(path) / "run.json"
    try:
        run = json.loads(file.read_text())
        return RunFacts(
            Path(path),
            run["task"],
            tuple(run["labels"]),
            Recipe.from_json(run["recipe"]),
            run["data"],
            run["synthetic"],
            run["seed"],
            len(run["history"]),
            run["exit_policy"],
        )
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{path} holds no finished training run ({file.name} is missing); train into it, or "
            "resume"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is damaged: {error}") from None


def train_methods(
    task: Task,
    recipes: Sequence[Recipe],
    data: DataSplits,
    folder: Path,
    *,
    seed: int,
    model_file: Path | None = None,
    progress: Callable | None = None,
    say: Say,
) -> list[RunFacts]:
    """Train every recipe into `folder`/NAME; finished runs are kept, interrupted ones go on.

    recipes: the base network's first: methods for trained networks start from it.
    model_file: the user's trained network. It is the base as it is, and what all others start from.
    InputError when a folder holds a run of another recipe, data set or seed.
    """
    found = []
    for recipe in recipes:
        say(f"{recipe.name}: training", 0, 1)
        run_dir = folder / recipe.name
        if not (run_dir / "run.json").exists():
            if model_file is not None and not recipe.exits:
                _adopt(task, recipe, data, run_dir, seed, model_file)
            else:
                _train(task, recipe, data, run_dir, seed, model_file, found, progress)
        run = read_run(run_dir)
        _require_same_training(run, recipe, data, seed)
        found.append(run)
        say(f"{recipe.name}: training", 1, 1)
    return found


def export_contender(
    name: str,
    run: RunFacts,
    data: DataSplits,
    folder: Path,
    base: Contender | None,
    terms: Terms,
    say: Say,
) -> Contender:
    """Quantise a run, cut it, run both splits through the int8 segments, calibrate, and write the
    bundle to `folder`/bundles/NAME.

    Everything is kept and used again when it belongs to the same network, data and terms.
    """
    files = {split: folder / "outputs" / f"{name}-{split.value}.npz" for split in SPLITS}
    float_files = {s: f.with_name(f"{name}-float-{s.value}.npz") for s, f in files.items()}
    bundle_path, key_file = folder / "bundles" / name, folder / "outputs" / f"{name}.json"
    key = {
        "network": hashlib.sha256((run.path / "model.keras").read_bytes()).hexdigest(),
        "base": None if base is None else base.bundle.manifest["full"]["sha256"],
        "data": [data.name, *(len(s) for s in (data.train, data.calibration, data.test))],
        "limit": terms.limit,
        "max_accuracy_loss": terms.max_accuracy_loss,
        "with_float_outputs": True,
    }
    if _read_key(key_file) == key:
        outputs, float_outputs = (
            {split: ChainOutputs.load(f) for split, f in kept.items()}
            for kept in (files, float_files)
        )
        return Contender(name, run, read_bundle(bundle_path), outputs, float_outputs)
    say(f"{name}: quantising to int8", 0, 1)
    full, parts, float_outputs = _quantised(run, data, terms.limit)
    say(f"{name}: quantising to int8", 1, 1)
    graphs = [read_graph(part) for part in parts]
    outputs = {split: _outputs(name, graphs, data, split, terms.limit, say) for split in SPLITS}
    for split in SPLITS:
        outputs[split].save(files[split])
        float_outputs[split].save(float_files[split])
    bundle = _write(run, bundle_path, full, parts, outputs, base, terms.max_accuracy_loss)
    write_atomic(key_file, json.dumps(key, indent=1) + "\n")
    return Contender(name, run, bundle, outputs, float_outputs)


def _adopt(
    task: Task, recipe: Recipe, data: DataSplits, run_dir: Path, seed: int, model_file: Path
) -> None:
    """A user's network as a finished run of no epochs."""
    load_keras()
    from trecx.exits.methods import make_method
    from trecx.exits.trained import TrainedModel, save_trained
    from trecx.stages.training import start_network

    network = start_network(model_file, task, data)
    policy = make_method(recipe).exit_policy
    about = (task.name, tuple(data.labels), recipe, data.name, data.synthetic, seed, policy)
    run_dir.mkdir(parents=True, exist_ok=True)
    save_trained(TrainedModel(network, *about), run_dir)


def _train(
    task: Task,
    recipe: Recipe,
    data: DataSplits,
    run_dir: Path,
    seed: int,
    model_file: Path | None,
    trained: list[RunFacts],
    progress: Callable | None,
) -> None:
    from trecx.exits import load_trained, train
    from trecx.exits.methods import make_method
    from trecx.stages.training import start_network

    load_keras().utils.clear_session()  # layer names and memory of the method before
    base = None
    if make_method(recipe).needs_trained_base:
        base = load_trained(trained[0].path).model
    elif model_file is not None:
        base = start_network(model_file, task, data)
    train(task, recipe, data, run_dir, seed=seed, resume=True, progress=progress, base=base)


def _require_same_training(run: RunFacts, recipe: Recipe, data: DataSplits, seed: int) -> None:
    expected = {"recipe": recipe.to_json(), "data set": data.name, "seed": seed}
    found = {"recipe": run.recipe.to_json(), "data set": run.data, "seed": run.seed}
    different = [what for what in expected if expected[what] != found[what]]
    if different:
        raise InputError(
            f"{run.path} holds a run with another {' and '.join(different)}: choose another "
            "folder, or repeat the settings to go on"
        )


def _quantised(
    run: RunFacts, data: DataSplits, limit: int | None
) -> tuple[bytes, list[bytes], dict[SplitRole, ChainOutputs]]:
    """The int8 model, its segments, and what the float model answers."""
    from trecx.exits import load_trained

    model = load_trained(run.path).model
    float_outputs = {
        split: float_chain_outputs(model, _samples(data, split), split, limit=limit)
        for split in SPLITS
    }
    return *quantised_segments(model, data), float_outputs


def _samples(data: DataSplits, split: SplitRole):
    return data.calibration if split is SplitRole.CALIBRATION else data.test


def _outputs(
    name: str,
    graphs: list[Graph],
    data: DataSplits,
    split: SplitRole,
    limit: int | None,
    say: Say,
) -> ChainOutputs:
    what = f"{name}: {split.value} split"
    return chain_outputs(
        graphs,
        _samples(data, split),
        split,
        limit=limit,
        progress=lambda *at: say(what, *at),
    )


def _write(
    run: RunFacts,
    path: Path,
    full: bytes,
    parts: list[bytes],
    outputs: Mapping[SplitRole, ChainOutputs],
    base: Contender | None,
    max_accuracy_loss: float,
) -> Bundle:
    """Calibrate the published policy for a largest loss against the full depth, and write."""
    base_file = None if base is None else base.bundle.read("full.tflite")
    costs = path_costs([read_graph(p) for p in parts], base_file and read_graph(base_file))
    policies, calibration = (), None
    if len(parts) > 1:
        family = run.exit_policy.replace("-", "_")
        budget = Budget(max_accuracy_loss=max_accuracy_loss)
        result = calibrate(outputs[SplitRole.CALIBRATION], costs, budget, family)
        policies, calibration = result.policies, result.to_json()
    return write_bundle(
        path,
        task=run.task,
        labels=run.labels,
        data=DataFacts(run.data, run.synthetic),
        training={"recipe": run.recipe.to_json(), "seed": run.seed, "epochs": run.epochs},
        full=full,
        segments=parts,
        base=base_file,
        policies=policies,
        calibration=calibration,
        test=evaluate(policies, outputs[SplitRole.TEST], costs).to_json(),
    )


def _read_key(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
