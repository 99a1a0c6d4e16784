"""The data that a command works on: a task's source, from --source and --data."""

from __future__ import annotations

from pathlib import Path

from trecx.errors import InputError
from trecx.task import DataSplits, Task

SYNTHETIC = "synthetic"


def load_splits(
    task: Task, path: Path | None, source: str | None = None, *, seed: int = 0
) -> DataSplits:
    """Splits of a task's data source.

    Without `path` the embedded synthetic data are used; with one, the task's first real source,
    or the one that `source` names. Raises InputError when path and source do not go together.
    """
    if path is None:
        if source not in (None, SYNTHETIC):
            raise InputError(f"data source {source!r} needs a folder: give --data PATH")
        return task.load_data(SYNTHETIC, seed=seed)
    if source == SYNTHETIC:
        raise InputError("synthetic data are embedded: --data PATH does not go with them")
    if not path.exists():
        raise InputError(f"the data folder {path} does not exist")
    real = [name for name in task.sources if name != SYNTHETIC]
    if source is None and not real:
        raise InputError(f"task {task.name!r} reads no data from files")
    return task.load_data(source or real[0], path, seed=seed)
