"""Training state on disk: every variable, where training stands, and how it was started.

One .npz file without pickled objects, written under a temporary name, flushed, then renamed: after
a crash at any moment the file holds the last completed epoch.
"""

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from trecx.errors import StorageError, TrainingError
from trecx.files import read_arrays, write_atomic

FORMAT = 1


@dataclass
class Checkpoint:
    """State after `epochs_done` epochs.

    identity: what must be the same to resume (recipe, task, data, seed), as JSON types.
    history: one dict of figures an epoch.
    """

    identity: dict[str, Any]
    epochs_done: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def save(path: Path, state: Checkpoint, variables: Sequence) -> None:
    """Write `state` and the values of `variables` atomically.

    Raises `StorageError` when that fails (a full disk): the previous checkpoint is untouched.
    """
    meta = json.dumps({"format": FORMAT, **vars(state)})
    arrays = {f"v{n:04d}": ops.convert_to_numpy(v) for n, v in enumerate(variables)}
    content = io.BytesIO()
    np.savez(content, meta=np.array(meta), **arrays)
    with writing(f"the checkpoint of epoch {state.epochs_done}"):
        write_atomic(path, content.getvalue())


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """`StorageError` when a file of the run cannot be written in the block."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{what} cannot be written: {error}; what was saved before is intact: make room, then "
            "resume"
        ) from None


def load(path: Path, identity: dict[str, Any], variables: Sequence) -> Checkpoint:
    """Read a checkpoint into `variables`.

    Raises `TrainingError` when the file is unreadable, or when its identity differs from
    `identity`: continuing would give a model that neither recipe describes.
    """
    try:
        stored = read_arrays(path)
        meta = json.loads(str(stored.pop("meta")))
        arrays = [stored[f"v{n:04d}"] for n in range(len(stored))]
    except (ValueError, KeyError) as error:
        raise TrainingError(
            f"{path} is not a readable checkpoint: {error}; start anew in another folder"
        ) from None
    if not isinstance(meta, dict) or meta.pop("format", None) != FORMAT:
        raise TrainingError(
            f"{path} was written by another version of trecx: resume with that version, or start "
            "anew in another folder"
        )
    state = Checkpoint(**meta)
    _check_same(path, state.identity, identity)
    if [a.shape for a in arrays] != [tuple(v.shape) for v in variables]:
        raise TrainingError(f"{path} belongs to another network: its variables differ")
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)
    return state


def _check_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    differing = [
        f"{where} was {before!r}, now {after!r}" for where, before, after in _differences(old, new)
    ]
    if differing:
        raise TrainingError(
            f"{path} was started differently and cannot be resumed: {'; '.join(differing[:4])}. "
            "Start with the same settings, or in another folder"
        )


def _differences(old, new, where=""):
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old):  # what an older version did not record cannot be compared
            yield from _differences(old[key], new.get(key), f"{where}.{key}" if where else key)
    elif old != new:
        yield where, old, new
