"""Search for exits: train candidates for a short time and compare what their exits gain."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trecx.errors import InputError, TrainingError
from trecx.policies import ChainOutputs, PathCosts, SplitRole
from trecx.reports.search import SearchReport, SearchRow
from trecx.search import Outcome, SearchResult, Trial, measure
from trecx.task import DataSplits, find_task

RUNS_FOLDER = "runs"


@dataclass(frozen=True)
class TrainTrial:
    """Trains one candidate; picklable, so that any engine can send it to another process.

    task: name of a registered task. recipe: the one whose method, batch size and so on are used;
    exits and epochs are the trial's. folder: training runs go to its RUNS_FOLDER.
    """

    task: str
    recipe: str
    folder: str
    source: str | None = None
    path: str | None = None
    data_options: dict[str, Any] = field(default_factory=dict)
    policy: str = "max_softmax"
    max_accuracy_loss: float = 1.0

    def load_data(self, seed: int = 0) -> DataSplits:
        return find_task(self.task).load_data(
            self.source, self.path, seed=seed, **self.data_options
        )

    def __call__(self, trial: Trial) -> Outcome:
        """Train, predict the calibration split, measure. An exit that cannot be built there, or a
        training that diverges, is an outcome with an error."""
        started = time.monotonic()
        try:
            figures = self._figures(trial)
        except (InputError, TrainingError) as error:
            return Outcome(trial, seconds=time.monotonic() - started, error=str(error))
        return Outcome(trial, seconds=time.monotonic() - started, **figures)

    def _figures(self, trial: Trial) -> dict[str, Any]:
        from trecx.exits import predict, train
        from trecx.exits.cost import segment_macs

        task, data = find_task(self.task), self.load_data()
        recipe = task.recipe(self.recipe).stretched(trial.epochs)
        recipe = dataclasses.replace(recipe, exits=trial.candidate.exits)
        run = Path(self.folder) / RUNS_FOLDER / trial.key
        trained = train(task, recipe, data, run, seed=trial.seed, resume=True)
        base = task.build(len(data.labels))
        costs = PathCosts.from_segments(
            tuple(segment_macs(trained.model)), "MACs", float(sum(segment_macs(base)))
        )
        outputs = tuple(_as_int8(p) for p in predict(trained.model, data.calibration))
        labels = np.asarray(data.calibration.labels)
        chain = ChainOutputs(outputs, labels, SplitRole.CALIBRATION)
        added = trained.model.count_params() - base.count_params()
        return measure(chain, costs, self.max_accuracy_loss, self.policy) | {
            "parameters_added": int(added)
        }


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
    loss = result.settings.max_accuracy_loss
    return SearchReport(model, data, synthetic, loss, rows, index)


def _as_int8(probabilities: np.ndarray) -> np.ndarray:
    """Float probabilities on the grid of an int8 softmax (scale 1/256, zero point -128)."""
    return np.clip(np.rint(probabilities * 256) - 128, -128, 127).astype(np.int8)
