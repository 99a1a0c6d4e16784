"""The data that a command works on: a source of a task, and how to load it."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trecx.errors import InputError
from trecx.task import DataSplits, Task
from trecx.typed import fits, option_hints, require_options

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class DataChoice:
    """Which data set.

    Without `path` the embedded synthetic data; with one, the task's first real source, or the one
    that `source` names. seed: of the splits. options: passed to the source's loader. strict: an
    unusable file is an error, where the loader would skip it with a warning.
    """

    path: Path | None = None
    source: str | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False

    def command_line(self) -> str:
        """The options of a command that choose these data, each with a space before it."""
        words = [] if self.path is None else ["--data", str(self.path)]
        words += [] if self.source in (None, SYNTHETIC) else ["--source", self.source]
        for name, value in self.options.items():
            text = value if isinstance(value, str) else json.dumps(value)
            words += ["--data-option", f"{name}={text}"]
        words += ["--seed", str(self.seed)] if self.seed else []
        return "".join(f" {shlex.quote(word)}" for word in words)

    def load(self, task: Task) -> DataSplits:
        """Raises InputError when path, source and options do not go together, DataError when the
        data are not as they should be."""
        source, path = self._source(task), () if self.path is None else (self.path,)
        loader = task.source(source)
        options = self._options(source, inspect.unwrap(loader))
        return loader(*path, seed=self.seed, **options)

    def _options(self, source: str, loader: Callable) -> dict[str, Any]:
        """The loader's options. InputError for one that it has not, or of another type."""
        if "seed" in self.options:
            raise InputError("seed is no option of the data source: give --seed")
        hints = option_hints(loader)
        # The command line takes 7 for a number, also where it is a word's or a speaker's name.
        options = {
            name: json.dumps(value) if _is_text(value, hints.get(name, Any)) else value
            for name, value in self.options.items()
        }
        if self.strict and "strict" in hints:  # a source without it never skips a file
            options.setdefault("strict", True)
        require_options(f"data source {source!r}", loader, options)
        return options

    def _source(self, task: Task) -> str:
        if self.path is None:
            if self.source not in (None, SYNTHETIC):
                raise InputError(f"data source {self.source!r} needs a folder: give --data PATH")
            return SYNTHETIC
        if self.source == SYNTHETIC:
            raise InputError("synthetic data are embedded: --data PATH does not go with them")
        if not self.path.exists():
            raise InputError(f"the data folder {self.path} does not exist")
        real = [name for name in task.sources if name != SYNTHETIC]
        if self.source is None and not real:
            raise InputError(f"task {task.name!r} reads no data from files")
        return self.source or real[0]


def _is_text(value: Any, hint: Any) -> bool:
    """Whether a number must have been meant as text."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and not fits(value, hint) and fits("", hint)
