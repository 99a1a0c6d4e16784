"""Search for exits: train candidates for a short time and compare what their exits gain."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trecx.errors import BudgetError, InputError, StorageError, TrainingError
from trecx.files import write_atomic
from trecx.policies import Budget, ChainOutputs, PathCosts, SplitRole, family
from trecx.quiet import load_keras
from trecx.reports.html import to_html
from trecx.reports.search import SearchReport, SearchRow
from trecx.reports.text import to_markdown
from trecx.search import (
    Candidate,
    Engine,
    Outcome,
    SearchResult,
    Settings,
    Trial,
    grid,
    measure,
    run_search,
    scaled,
)
from trecx.stages.data import DataChoice
from trecx.stages.recipes import good_places, load_network, places_of, require_place
from trecx.task import DataSplits, Recipe, Task, find_task

RUNS_FOLDER = "runs"
CHOICE_FILE = "choice.json"

# Methods that set the weights of their exits' losses themselves.
OWN_LOSS_WEIGHTS = ("eenet", "pteenet", "sdn")


@dataclass(frozen=True)
class Space:
    """What to try, starting from the first exit of a recipe.

    places: layer names; none: every end of a block that can be cut. widths: multiples of the
    head's channels. loss_weights: none: the recipe's own. most_exits: of one candidate.
    """

    places: tuple[str, ...] = ()
    widths: tuple[float, ...] = (0.5, 1.0, 2.0)
    loss_weights: tuple[float, ...] = ()
    most_exits: int = 1

    def __post_init__(self) -> None:
        if not self.widths or not all(0 < width < math.inf for width in self.widths):
            raise InputError(f"head widths must be above 0, got {self.widths}")
        if self.loss_weights and min(self.loss_weights) <= 0:
            raise InputError(f"loss weights must be above 0, got {self.loss_weights}")

    def candidates(self, recipe: Recipe, network: Any) -> list[Candidate]:
        """All combinations for a network. InputError for a place where it cannot be cut."""
        if not recipe.exits:
            raise InputError(f"recipe {recipe.name!r} has no exit to start the search from")
        places = places_of(network)
        for layer in self.places:
            require_place(places, layer)
        names = self.places or [place.layer for place in good_places(places)]
        start = recipe.exits[0]
        weights = self.loss_weights or (start.loss_weight,)
        if recipe.method in OWN_LOSS_WEIGHTS:
            weights = weights[:1]
        heads = [(start.head, scaled(start.options, width)) for width in self.widths]
        assists = [(start.assist, start.assist_options)]
        return grid(names, heads, weights, assists, self.most_exits)


@dataclass(frozen=True)
class TrainTrial:
    """Trains one candidate; picklable, so that any engine can send it to another process.

    task: name of a registered task. recipe: its exits and epochs are the trial's. folder:
    training runs go to its RUNS_FOLDER. model_file: the user's network, if it is not the task's.
    """

    task: str
    recipe: Recipe
    folder: str
    data: DataChoice
    budget: Budget
    policy: str
    model_file: str | None = None

    def __call__(self, trial: Trial) -> Outcome:
        """Train, predict the calibration split, measure. An exit that cannot be built there, a
        training that diverges, or a budget that is not met, is an outcome with an error."""
        started = time.monotonic()
        try:
            figures = self._figures(trial)
        except StorageError:  # of this disk, not of the candidate
            raise
        except (InputError, TrainingError) as error:
            figures = {"error": str(error)}
        return Outcome(trial, seconds=time.monotonic() - started, **figures)

    def _figures(self, trial: Trial) -> dict[str, Any]:
        from trecx.exits import add_exits, predict, train
        from trecx.exits.cost import segment_macs

        load_keras().utils.clear_session()  # layer names and memory of the trial before
        task = find_task(self.task)
        data = self.data.load(task)
        recipe = dataclasses.replace(self.recipe, exits=trial.candidate.exits)
        recipe = recipe.stretched(trial.epochs)
        plain = _network_of(task, data, self.model_file)
        add_exits(plain, trial.candidate.exits)  # or says why not, before there is a run folder
        base_macs, base_parameters = float(sum(segment_macs(plain))), plain.count_params()
        trained = train(
            task,
            recipe,
            data,
            Path(self.folder) / RUNS_FOLDER / trial.key,
            seed=trial.seed,
            resume=True,
            base=plain if self.model_file else None,
        )
        costs = PathCosts.from_segments(tuple(segment_macs(trained.model)), "MACs", base_macs)
        outputs = tuple(_as_int8(p) for p in predict(trained.model, data.calibration))
        labels = np.asarray(data.calibration.labels)
        chain = ChainOutputs(outputs, labels, SplitRole.CALIBRATION)
        added = {"parameters_added": int(trained.model.count_params() - base_parameters)}
        try:
            return measure(chain, costs, self.budget, self.policy) | added
        except BudgetError as error:
            relative = tuple(cost / costs.reference for cost in costs.stop)
            return added | {"error": str(error), "path_costs": relative}


def search(
    task: Task,
    data: DataChoice,
    out: Path,
    space: Space,
    settings: Settings,
    *,
    recipe: Recipe | None = None,
    policy: str | None = None,
    model_file: Path | None = None,
    engine: Engine | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> SearchReport:
    """Search for the exits of a task's (or a user's) network, and write search.html, .md,
    .svg, report.json and, for `trecx train --recipe`, choice.json into `out`.

    Interrupt it and call it again to go on. policy: of the exits [the method's own].

    Raises InputError for what cannot be searched, and BudgetError, after writing the report, when
    no candidate meets the budget.
    """
    if task.kind != "classification":
        raise InputError(
            f"task {task.name!r} is no classification ({task.kind}): exits stop where a class is "
            "sure, so only classifiers have them"
        )
    recipe = recipe or task.recipe()
    policy = policy or _published_policy(recipe)
    family(policy)
    network = _plain_network(task) if model_file is None else load_network(model_file)
    candidates = space.candidates(recipe, network)
    splits = data.load(task)
    pattern = dataclasses.replace(recipe, exits=candidates[0].exits)
    train = TrainTrial(
        task.name,
        pattern,
        str(out),
        data,
        settings.budget,
        policy,
        None if model_file is None else str(model_file),
    )
    context = [task.name, splits.name, len(splits.train), recipe.to_json(), policy, str(model_file)]
    settings = dataclasses.replace(settings, seed=data.seed, context=json.dumps(context))
    result = run_search(candidates, train, out, settings, engine, _each(progress))
    report = search_report(result, task.name, splits.name, splits.synthetic)
    _write(report, result, recipe, out)
    if result.choice is None:
        raise BudgetError(_why_none(result))
    return report


def _plain_network(task: Task, classes: int | None = None) -> Any:
    load_keras()
    return task.build(classes or len(task.labels))


def _network_of(task: Task, data: DataSplits, model_file: str | None) -> Any:
    """The Keras network that gets the exits: a new one of the task, or the user's."""
    if model_file is None:
        return _plain_network(task, len(data.labels))
    from trecx.stages.training import start_network

    return start_network(Path(model_file), task, data)


def search_report(result: SearchResult, model: str, data: str, synthetic: bool) -> SearchReport:
    """The report of a search."""
    on_front = {id(o) for o in result.front}
    last = {id(o) for o in result.final}

    def place(outcome: Outcome) -> str:
        if outcome.error is not None:
            return "failed"
        if id(outcome) in on_front:
            return "front"
        return "dominated" if id(outcome) in last else "dropped"

    choice = result.choice
    rows = tuple(
        SearchRow(
            title=o.trial.candidate.title,
            epochs=o.trial.epochs,
            accuracy=o.accuracy,
            full_accuracy=o.segment_accuracy[-1] if o.segment_accuracy else 0.0,
            cost=o.cost,
            exit_rates=o.exit_rates,
            parameters_added=o.parameters_added,
            place=place(o),
            error=o.error,
        )
        for o in result.outcomes
    )
    index = next((i for i, o in enumerate(result.outcomes) if o is choice), None)
    loss, cost = result.settings.max_accuracy_loss, result.settings.max_cost
    return SearchReport(model, data, synthetic, loss, rows, index, cost)


def _published_policy(recipe: Recipe) -> str:
    load_keras()
    from trecx.exits.methods import METHODS, make_method

    make_method(recipe)  # refuses an unknown method
    return METHODS[recipe.method].exit_policy.replace("-", "_")


def _why_none(result: SearchResult) -> str:
    """Why a search has no choice, with the nearest that its candidates can do."""
    cheapest = [o.path_costs[0] for o in result.outcomes if o.path_costs]
    first = next((o.error for o in result.outcomes if o.error is not None), "")
    if not cheapest:
        return f"no candidate could be trained; the first says: {first}"
    return (
        f"no candidate meets the budget; the cheapest exit of all costs "
        f"{100 * min(cheapest):.1f} % of the network without exits. The first candidate: {first}"
    )


def _each(progress: Callable[[str, int, int], None] | None):
    """From a stage's progress (what, done, all) to the driver's (done, all, outcome)."""
    if progress is None:
        return None

    def report(done: int, count: int, outcome: Outcome) -> None:
        progress(f"training {outcome.trial.epochs} epochs", done, count)

    return report


def _write(report: SearchReport, result: SearchResult, recipe: Recipe, out: Path) -> None:
    document = report.document()
    write_atomic(out / "search.html", to_html(document.title, [document], report.data))
    pictures: Sequence[str] = ()
    if any(row.place in ("front", "dominated") for row in report.rows):
        write_atomic(out / "search.svg", report.svg())
        pictures = ["search.svg"]
    write_atomic(out / "search.md", to_markdown(document, pictures=pictures))
    text = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    write_atomic(out / "report.json", text)
    if result.choice is not None:
        exits = result.choice.trial.candidate.exits
        chosen = dataclasses.replace(recipe, name=f"{recipe.name}-found", exits=exits)
        write_atomic(out / CHOICE_FILE, json.dumps(chosen.to_json(), indent=1) + "\n")


def _as_int8(probabilities: np.ndarray) -> np.ndarray:
    """Float probabilities on the grid of an int8 softmax (scale 1/256, zero point -128)."""
    return np.clip(np.rint(probabilities * 256) - 128, -128, 127).astype(np.int8)
