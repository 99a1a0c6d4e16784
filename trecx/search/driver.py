"""The search itself: rungs of longer and longer training, results on disk, resumable."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from trecx.errors import InputError
from trecx.files import write_atomic
from trecx.policies import Budget
from trecx.search.engines import Engine, SerialEngine
from trecx.search.pareto import front, ranked, recommended
from trecx.search.space import Candidate
from trecx.search.trial import Outcome, Trial

SETTINGS_FILE = "search.json"
TRIALS_FOLDER = "trials"


@dataclass(frozen=True)
class Settings:
    """rungs: epochs of each round of training; after each but the last, the share `keep` of the
    candidates goes on, best first by non-dominated sorting (at least two).
    max_accuracy_loss: points that the exits may cost each candidate; max_cost: its largest mean
    cost, in the unit of the trials (MACs); None: no such limit, but one of the two there must be.
    context: what else decides a trial (task, data, recipe), for the check when a search resumes.
    """

    rungs: tuple[int, ...] = (2, 6)
    keep: float = 0.5
    max_accuracy_loss: float | None = 1.0
    max_cost: float | None = None
    seed: int = 0
    context: str = ""

    def __post_init__(self) -> None:
        if not self.rungs or list(self.rungs) != sorted(set(self.rungs)) or self.rungs[0] < 1:
            raise InputError(f"rungs must be increasing numbers of epochs, got {self.rungs}")
        if not 0 < self.keep <= 1:
            raise InputError(f"the share to keep must be above 0 and at most 1, got {self.keep}")
        self.budget  # noqa: B018  (refuses limits that cannot be)

    @property
    def budget(self) -> Budget:
        """What the exits of every candidate must meet."""
        return Budget(self.max_accuracy_loss, self.max_cost)


@dataclass(frozen=True)
class SearchResult:
    """outcomes: every trial, in the order of rungs and candidates. final: those of the last rung.

    front: the Pareto front of the last rung, cheapest first. choice: see `recommended`; None when
    every trial failed.
    """

    settings: Settings
    outcomes: tuple[Outcome, ...]

    @property
    def final(self) -> tuple[Outcome, ...]:
        longest = max((o.trial.epochs for o in self.outcomes if o.error is None), default=0)
        return tuple(o for o in self.outcomes if o.trial.epochs == longest and o.error is None)

    @property
    def front(self) -> list[Outcome]:
        return front(self.final)

    @property
    def choice(self) -> Outcome | None:
        return recommended(self.final, self.settings.max_accuracy_loss)


def run_search(
    candidates: Sequence[Candidate],
    train: Callable[[Trial], Outcome],
    folder: Path,
    settings: Settings,
    engine: Engine | None = None,
    progress: Callable[[int, int, Outcome], None] | None = None,
) -> SearchResult:
    """Try `candidates`; every finished trial is a file in `folder`, and is not run again.

    train: trial -> outcome; module-level and picklable for engines with processes. A candidate
        that is not possible comes back as an outcome with an error; exceptions end the search.
    progress: called with (trials done in this rung, trials of this rung, outcome).

    Interrupt it and call it again to go on. InputError when the folder holds another search.
    """
    engine = engine or SerialEngine()
    _claim(folder, candidates, settings)
    outcomes: list[Outcome] = []
    alive = list(candidates)
    for number, epochs in enumerate(settings.rungs):
        trials = [Trial(candidate, epochs, settings.seed) for candidate in alive]
        done = _run_rung(trials, train, folder / TRIALS_FOLDER, engine, progress)
        outcomes += [done[trial.key] for trial in trials]
        if number + 1 < len(settings.rungs):
            alive = _survivors([done[trial.key] for trial in trials], settings.keep)
    return SearchResult(settings, tuple(outcomes))


def _run_rung(
    trials: list[Trial],
    train: Callable[[Trial], Outcome],
    folder: Path,
    engine: Engine,
    progress: Callable[[int, int, Outcome], None] | None,
) -> dict[str, Outcome]:
    done = {trial.key: _read(folder, trial) for trial in trials}
    done = {key: outcome for key, outcome in done.items() if outcome is not None}
    waiting = [trial for trial in trials if trial.key not in done]
    for outcome in engine.run(train, waiting):
        write_atomic(_file(folder, outcome.trial), json.dumps(outcome.to_json(), indent=1) + "\n")
        done[outcome.trial.key] = outcome
        if progress is not None:
            progress(len(done), len(trials), outcome)
    return done


def _survivors(outcomes: list[Outcome], keep: float) -> list[Candidate]:
    worked = [outcome for outcome in outcomes if outcome.error is None]
    count = max(2, math.ceil(keep * len(worked)))
    return [outcome.trial.candidate for outcome in ranked(worked)[:count]]


def _claim(folder: Path, candidates: Sequence[Candidate], settings: Settings) -> None:
    """Write what is searched for, or check that the folder holds the same search."""
    described = json.loads(
        json.dumps(asdict(settings) | {"candidates": sorted(c.key for c in candidates)})
    )
    path = folder / SETTINGS_FILE
    if not path.exists():
        write_atomic(path, json.dumps(described, indent=1) + "\n")
        return
    try:
        known = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} describes no search: {error}; choose another folder") from error
    different = sorted(k for k in described if known.get(k) != described[k])
    if different:
        raise InputError(
            f"{folder} holds a search with other settings ({', '.join(different)} differ): "
            "choose another folder, or repeat the settings to resume it"
        )


def _file(folder: Path, trial: Trial) -> Path:
    return folder / f"{trial.key}.json"


def _read(folder: Path, trial: Trial) -> Outcome | None:
    path = _file(folder, trial)
    if not path.exists():
        return None
    try:
        return Outcome.from_json(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no finished trial: {error}; delete it to repeat") from error
