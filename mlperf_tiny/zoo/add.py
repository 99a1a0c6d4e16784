"""Put a trained and exported model into the zoo."""

import contextlib
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from mlperf_tiny.zoo.card import CARD, Figure, ModelCard, card_files
from mlperf_tiny.zoo.catalogue import (
    BUNDLE,
    MODELS,
    RUN,
    RUN_FILES,
    bundle_files,
    check_entry,
    check_size,
    copy_files,
    read_run,
    size_of,
    zoo_sizes,
)
from trecx.bundle import read_bundle
from trecx.errors import BundleError
from trecx.files import atomic_folder
from trecx.task import Recipe

_PACKAGES = ("trecx", "keras", "tensorflow", "numpy")


def add_model(
    name: str,
    *,
    run: Path,
    bundle: Path,
    title: str,
    data_description: str,
    data_licence: str,
    figures: Sequence[Figure],
    commands: Sequence[str],
    licence: str,
    notes: str,
    root: Path = MODELS,
) -> ModelCard:
    """Copy a run and the bundle exported from it, and write the card; replaces an older entry.

    Task, classes, data, recipe and seed are taken from the run and software from this
    environment; the other arguments are the card's fields.

    Raises `BundleError` when run and bundle do not belong together, a field is not as the card
    wants it, or the zoo would become too large (nothing is changed then).
    """
    record = _read_record(run)
    card = ModelCard(
        name=name,
        title=title,
        task=record["task"],
        labels=tuple(record["labels"]),
        data=record["data"],
        synthetic=record["synthetic"],
        data_description=data_description,
        data_licence=data_licence,
        recipe=Recipe.from_json(record["recipe"]),
        seed=record["seed"],
        figures=tuple(figures),
        commands=tuple(commands),
        software=_software(),
        licence=licence,
        notes=notes,
        bundle_digest=read_bundle(bundle).digest,
    )
    with atomic_folder(root / name, CARD) as work:
        copy_files(bundle, work / BUNDLE, bundle_files(read_bundle(bundle)))
        copy_files(run, work / RUN, RUN_FILES)
        for file, text in card_files(card).items():
            (work / file).write_text(text, encoding="utf-8")
        check_entry(work, name)
        check_size({**zoo_sizes(root), name: size_of(work)})
    return card


def _read_record(run: Path) -> dict:
    record = read_run(run)
    missing = [key for key in ("task", "labels", "data", "synthetic", "recipe", "seed")
               if key not in record]  # fmt: skip
    if missing:
        raise BundleError(f"{run} must be a training run; its record has no {', '.join(missing)}")
    return record


def _software() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
