"""The data that a command works on: a source of a task, and how to load it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trecx.errors import InputError, TrecxError
from trecx.task import DataSplits, Task

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
        if "seed" in self.options:
            raise InputError("seed is no option of the data source: give --seed")
        try:
            return self._loaded(task, source, path)
        except TrecxError:
            raise
        except (TypeError, ValueError) as error:
            if not self.options:
                raise
            raise self._refused(source, error) from None

    def _loaded(self, task: Task, source: str, path: tuple[Path, ...]) -> DataSplits:
        if self.strict and "strict" not in self.options:
            try:
                return task.load_data(source, *path, seed=self.seed, strict=True, **self.options)
            except TypeError as error:
                if "unexpected keyword argument 'strict'" not in str(error):
                    raise
                # A source without the option never skips a file.
        return task.load_data(source, *path, seed=self.seed, **self.options)

    def _refused(self, source: str, error: Exception) -> InputError:
        """What a loader's exception means when the user has given it options."""
        if "unexpected keyword argument" in str(error):
            option = str(error).rsplit("'", 2)[-2]
            return InputError(f"data source {source!r} has no option {option!r}")
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return InputError(f"data source {source!r} cannot be loaded with {options}: {error}")

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
