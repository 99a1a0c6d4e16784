"""Tasks: what to train, on which data, by which recipe. Plain data, no Keras.

A `Task` is what an application gives trecx. Packages register theirs under the entry-point group
`trecx.tasks`; each entry point is a mapping from name to `Task`.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, get_type_hints

import numpy as np

from trecx.errors import InputError
from trecx.typed import nearest, require_types

ENTRY_POINT_GROUP = "trecx.tasks"


class Samples(Protocol):
    """A set of labelled samples, read by index so that it need not fit into memory.

    `labels` is an int64 array of shape (n,); for a task without classes it is all zeros.
    """

    labels: np.ndarray

    def __len__(self) -> int: ...

    def inputs(self, indices: np.ndarray | slice) -> np.ndarray:
        """Model inputs, float32, shape (len(indices), *input_shape), without augmentation."""

    def augmented(self, indices: np.ndarray, rng: np.random.Generator, name: str) -> np.ndarray:
        """As `inputs`, randomly altered by the augmentation called `name`."""


Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class ArraySamples:
    """Samples held in memory: `x` of shape (n, ...) in any dtype, `labels` of shape (n,).

    An input is `x.astype(float32) * scale`. Augmentations get and return batches in x's own
    dtype, before scaling; the name "none" always exists.
    """

    x: np.ndarray
    labels: np.ndarray
    scale: float = 1.0
    augmentations: Mapping[str, Augmentation] = field(default_factory=dict)

    def __post_init__(self):
        if len(self.x) != len(self.labels):
            raise InputError(
                f"samples and labels must be equally many: {len(self.x)} and {len(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, indices: np.ndarray | slice) -> np.ndarray:
        return self._to_input(self.x[indices])

    def augmented(self, indices: np.ndarray, rng: np.random.Generator, name: str) -> np.ndarray:
        if name == "none":
            return self.inputs(indices)
        if name not in self.augmentations:
            known = ", ".join(["none", *self.augmentations])
            raise InputError(f"unknown augmentation {name!r}; this data set has: {known}")
        return self._to_input(self.augmentations[name](self.x[indices], rng))

    def _to_input(self, batch: np.ndarray) -> np.ndarray:
        batch = batch.astype(np.float32)
        return batch if self.scale == 1.0 else batch * np.float32(self.scale)

    def take(self, indices: np.ndarray) -> "ArraySamples":
        """The samples at `indices`, with everything else as here."""
        return dataclasses.replace(self, x=self.x[indices], labels=self.labels[indices])


class Repeated:
    """Each of `samples` several times, one after the other: so many views of it an epoch.

    With few samples an epoch is otherwise shorter than what is done between two.
    """

    def __init__(self, samples: Samples, times: int):
        if times < 1:
            raise InputError(f"samples must be repeated at least once, got {times}")
        self.samples, self.labels = samples, np.tile(samples.labels, times)

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, indices: np.ndarray | slice) -> np.ndarray:
        return self.samples.inputs(self._once(indices))

    def augmented(self, indices: np.ndarray, rng: np.random.Generator, name: str) -> np.ndarray:
        return self.samples.augmented(self._once(indices), rng, name)

    def _once(self, indices: np.ndarray | slice) -> np.ndarray:
        return np.arange(len(self))[indices] % len(self.samples)


@dataclass(frozen=True)
class DataSplits:
    """One data set in three disjoint parts.

    `train` fits weights, `calibration` fits exit thresholds and quantisation ranges, `test` is
    only reported on. `name` is how reports call the data; `synthetic` data must be labelled so.
    """

    name: str
    train: Samples
    calibration: Samples
    test: Samples
    labels: tuple[str, ...]
    synthetic: bool = False


def split_indices(labels: np.ndarray, held_out: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split 0..n-1 into (rest, held out) with `held_out` samples drawn without replacement.

    Every class gives its share, rounded so that the total is exact. Deterministic in `seed`.
    """
    count = len(labels)
    if not 0 < held_out < count:
        raise InputError(
            f"a split must leave samples on both sides: {held_out} of {count} held out"
        )
    rng = np.random.default_rng([seed, count, held_out])
    shuffled = rng.permutation(count)
    # Ranks within each class, spread evenly over 0..1, interleave the classes proportionally.
    rank = np.empty(count)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        rank[members] = (np.arange(len(members)) + rng.random()) / len(members)
    order = np.argsort(rank, kind="stable")
    return np.sort(order[held_out:]), np.sort(order[:held_out])


@dataclass(frozen=True)
class ExitSpec:
    """One early exit: after layer `at`, with the head `head` (registered by its method).

    `options` are the head's and the assistance's parameters; `loss_weight` multiplies this exit's
    loss in joint training; `assist` names what the exit gives to the final classifier, if anything.
    """

    at: str
    head: str
    options: Mapping[str, Any] = field(default_factory=dict)
    loss_weight: float = 0.5
    assist: str | None = None
    assist_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        require_types(f"the exit at {self.at!r}", get_type_hints(ExitSpec), vars(self))
        if self.loss_weight < 0:
            raise InputError(
                f"the exit at {self.at!r}: loss_weight must not be negative, got {self.loss_weight}"
            )


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a model is trained, but the data and the seed.

    name: of its run folder too, when none is given.
    method: "base" (no exit) or a name of `trecx.exits.methods`.
    learning_rate, schedule: see `learning_rate_at`.
    augmentation: a name that the task's data knows.
    class_balance: 0..1; at 0 training draws the classes as often as they are in the data, at 1 all
        equally often.
    method_options: parameters of the method's training procedure.
    """

    name: str
    method: str = "base"
    exits: tuple[ExitSpec, ...] = ()
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    decay: float = 0.99
    milestones: tuple[tuple[int, float], ...] = ()
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    class_balance: float = 0.0
    augmentation: str = "none"
    method_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        require_types(f"recipe {self.name!r}", get_type_hints(Recipe), vars(self))
        checks = [
            (
                re.fullmatch(r"[^\s./\\][^/\\\n]*", self.name),
                "name must be that of a folder",
                repr(self.name),
            ),
            (self.epochs >= 1, "epochs must be at least 1", self.epochs),
            (self.batch_size >= 1, "batch_size must be at least 1", self.batch_size),
            (self.learning_rate > 0, "learning_rate must be positive", self.learning_rate),
            (0 < self.decay <= 1, "decay must be above 0 and at most 1", self.decay),
            (
                all(factor > 0 for _, factor in self.milestones),
                "milestones must have positive factors",
                self.milestones,
            ),
            (
                self.warmup_epochs >= 0,
                "warmup_epochs must not be negative",
                self.warmup_epochs,
            ),
            (self.weight_decay >= 0, "weight_decay must not be negative", self.weight_decay),
            (
                0 <= self.label_smoothing < 1,
                "label_smoothing must be in 0..1",
                self.label_smoothing,
            ),
            (0 <= self.class_balance <= 1, "class_balance must be in 0..1", self.class_balance),
            (
                self.schedule in ("constant", "cosine", "exponential", "steps"),
                "schedule must be constant, cosine, exponential or steps",
                self.schedule,
            ),
            (
                (self.method in ("base", "autoencoder")) == (not self.exits),
                "methods 'base' and 'autoencoder' have no exits and every other has at least one",
                f"{self.method} with {len(self.exits)}",
            ),
        ]
        for good, rule, value in checks:
            if not good:
                raise InputError(f"recipe {self.name!r}: {rule}, got {value}")

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0.

        cosine: learning_rate x (1 + cos(pi e / epochs)) / 2; exponential: x decay^e; steps: x the
        factor of the last milestone (epoch, factor) reached; all after a linear warm-up.
        """
        if epoch < self.warmup_epochs:
            return self.learning_rate * (epoch + 1) / (self.warmup_epochs + 1)
        if self.schedule == "cosine":
            span = max(1, self.epochs - self.warmup_epochs)
            done = (epoch - self.warmup_epochs) / span
            return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
        if self.schedule == "exponential":
            return self.learning_rate * self.decay**epoch
        if self.schedule == "steps":
            reached = [factor for start, factor in self.milestones if epoch >= start]
            return self.learning_rate * (reached[-1] if reached else 1.0)
        return self.learning_rate

    def stretched(self, epochs: int) -> "Recipe":
        """The same recipe over another number of epochs, its schedule scaled along."""
        ratio = epochs / self.epochs
        return dataclasses.replace(
            self,
            epochs=epochs,
            decay=self.decay ** (1 / ratio),
            milestones=tuple((round(start * ratio), factor) for start, factor in self.milestones),
            warmup_epochs=round(self.warmup_epochs * ratio),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return _plain(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Recipe":
        """The inverse of `to_json`. Raises `InputError` for anything else, fields that do not
        exist included."""
        _require_fields(cls, "a recipe", value)
        fields = dict(value)
        specs = fields.get("exits", ())
        require_types("a recipe", {"exits": Sequence[Mapping[str, Any]]}, {"exits": specs})
        for spec in specs:
            _require_fields(ExitSpec, "an exit", spec)
        fields["exits"] = tuple(ExitSpec(**spec) for spec in specs)
        fields["milestones"] = _tuples(fields.get("milestones", ()))
        return cls(**fields)


@dataclass(frozen=True)
class QualityTarget:
    """The benchmark's own accuracy target: `metric` ("top-1" or "auc") at least `value` (0..1)."""

    metric: str
    value: float


@dataclass(frozen=True)
class Task:
    """A benchmark or an application.

    build: (classes) -> the base network, an uncompiled functional Keras model with softmax output
        (for kind "anomaly": an autoencoder).
    sources: name -> loader; "synthetic" takes (seed, **options), every other one (path, seed,
        **options); each returns `DataSplits`. The first is the default. Options are keyword-only;
        their type hints say what a user may give.
    recipes: name -> Recipe; "base" trains the network without exits.
    input_range: smallest and largest input value, for reports and firmware.
    """

    name: str
    title: str
    input_shape: tuple[int, ...]
    input_range: tuple[float, float]
    labels: tuple[str, ...]
    build: Callable[[int], Any]
    sources: Mapping[str, Callable[..., DataSplits]]
    recipes: Mapping[str, Recipe]
    default_recipe: str
    quality: QualityTarget | None = None
    kind: str = "classification"

    def recipe(self, name: str | None = None) -> Recipe:
        """The recipe called `name`, or the default. Raises `InputError` if there is none."""
        return _lookup(self.recipes, name or self.default_recipe, f"recipe of task {self.name!r}")

    def load_data(
        self, source: str | None = None, path: Any = None, *, seed: int = 0, **options
    ) -> DataSplits:
        """Load a data source; without a name the first one, which needs no path."""
        arguments = () if path is None else (path,)
        return self.source(source)(*arguments, seed=seed, **options)

    def source(self, name: str | None = None) -> Callable[..., DataSplits]:
        """The loader called `name`, or the first. Raises `InputError` if there is none."""
        name = name or next(iter(self.sources))
        return _lookup(self.sources, name, f"data source of task {self.name!r}")


@cache
def tasks() -> dict[str, Task]:
    """All registered tasks by name. Raises `InputError` when two packages use one name."""
    found: dict[str, Task] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        for name, task in point.load().items():
            if name in found:
                raise InputError(f"two packages register a task called {name!r}: see {point.value}")
            found[name] = task
    return found


def find_task(name: str) -> Task:
    """The task called `name`. Raises `InputError` naming the nearest when there is none."""
    return _lookup(tasks(), name, "task")


def _lookup(table: Mapping[str, Any], name: str, what: str):
    if name in table:
        return table[name]
    raise InputError(f"unknown {what}: {name!r}; {nearest(name, table)}")


def _require_fields(cls, what: str, value: Any) -> None:
    """InputError unless `value` has the fields that the dataclass needs, and no others."""
    if not isinstance(value, Mapping):
        raise InputError(f"not a recipe: {what} is an object with named fields, got {value!r:.40}")
    known = dataclasses.fields(cls)
    for name in value:
        if name not in (names := [field.name for field in known]):
            raise InputError(f"not a recipe: {what} has no {name!r}; {nearest(name, names)}")
    for wanted in known:
        required = wanted.default is wanted.default_factory is dataclasses.MISSING
        if required and wanted.name not in value:
            raise InputError(f"not a recipe: {what} needs {wanted.name!r}")


def _tuples(value):
    """`value` with its lists, at any depth, as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def _plain(value):
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
