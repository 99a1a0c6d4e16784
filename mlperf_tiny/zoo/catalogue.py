"""The models that there are: list, copy, check."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlperf_tiny.zoo.card import CARD, PAGE, ModelCard, read_card
from trecx.bundle import MANIFEST, Bundle, read_bundle
from trecx.errors import BundleError, InputError
from trecx.files import atomic_folder
from trecx.task import Recipe
from trecx.typed import nearest

MODELS = Path(__file__).parent / "models"
SIZE_LIMIT = 8_000_000
BUNDLE, RUN = "bundle", "run"
# What a training run leaves that others need; its checkpoint and logs stay behind.
RUN_FILES = ("model.keras", "run.json")


def zoo_list(root: Path = MODELS) -> list[ModelCard]:
    """The cards of all models, by name. Raises `BundleError` for a damaged one."""
    return [read_card(folder) for folder in _folders(root)]


def zoo_get(name: str, dest: Path | None = None, *, root: Path = MODELS) -> Path:
    """Copy a model into the folder `dest` (default: `name` in the current folder).

    Returns `dest`; the bundle is in its folder `bundle`, the float network in `run`.

    Raises:
        InputError: no such model, or `dest` exists and is no unaltered copy of a zoo model.
        BundleError: the model is damaged.
    """
    known = [folder.name for folder in _folders(root)]
    if name not in known:
        raise InputError(f"no model {name!r} in the zoo; {nearest(name, known)}")
    check_entry(root / name, name)
    dest = Path(dest) if dest is not None else Path(name)
    if (dest / CARD).exists():
        _require_unaltered(dest)
    with atomic_folder(dest, CARD) as work:
        copy_files(root / name, work, _entry_files(root / name))
    return dest


def _require_unaltered(copy: Path) -> None:
    """InputError when somebody has worked in a copy: renewing it would lose that."""
    try:
        check_entry(copy, read_card(copy).name)
    except BundleError as error:
        raise InputError(
            f"{copy} is not as it came from the zoo ({error}): choose another folder, or remove "
            "it first"
        ) from None


def check_zoo(root: Path = MODELS, limit: int = SIZE_LIMIT) -> dict[str, int]:
    """Check every model and the size of all.

    Returns model -> bytes. Raises `BundleError` for the first thing that is wrong.
    """
    for folder in _folders(root):
        check_entry(folder, folder.name)
    sizes = zoo_sizes(root)
    check_size(sizes, limit)
    return sizes


def check_size(sizes: Mapping[str, int], limit: int = SIZE_LIMIT) -> None:
    """Raises `BundleError` when the models, name -> bytes, are too large together."""
    if sum(sizes.values()) > limit:
        each = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise BundleError(
            f"the zoo must be at most {limit:,} bytes, got {sum(sizes.values()):,}: {each}"
        )


def zoo_sizes(root: Path = MODELS) -> dict[str, int]:
    """Model -> bytes of its files."""
    return {folder.name: size_of(folder) for folder in _folders(root)}


def check_entry(folder: Path, name: str) -> ModelCard:
    """Check that card, bundle and training record of the model `name` belong together.

    Raises `BundleError` otherwise.
    """
    card = read_card(folder)
    bundle = read_bundle(folder / BUNDLE)
    run = read_run(folder / RUN)
    facts = [
        ("name", card.name, name, "the folder's name"),
        ("bundle_digest", card.bundle_digest, bundle.digest, "the bundle"),
        ("task", card.task, bundle.task, "the bundle"),
        ("labels", card.labels, bundle.labels, "the bundle"),
        ("data", card.data, bundle.data.name, "the bundle"),
        ("synthetic", card.synthetic, bundle.data.synthetic, "the bundle"),
        ("task", card.task, run.get("task"), "the run"),
        ("labels", list(card.labels), run.get("labels"), "the run"),
        ("data", card.data, run.get("data"), "the run"),
        ("synthetic", card.synthetic, run.get("synthetic"), "the run"),
        ("seed", card.seed, run.get("seed"), "the run"),
        ("recipe", card.recipe.to_json(), _recipe(run), "the run"),
    ]
    for what, ours, theirs, whose in facts:
        if ours != theirs:
            raise BundleError(
                f"{folder}: {what} must be the same on the card and in {whose}, "
                f"got {ours} and {theirs}"
            )
    _check_page(folder, card)
    _check_files(folder)
    return card


def _recipe(run: dict) -> object:
    """The recipe of a run; a field that is newer than the run has its default."""
    try:
        return Recipe.from_json(run["recipe"]).to_json()
    except (KeyError, InputError):
        return run.get("recipe")


def copy_files(source: Path, dest: Path, names: Iterable[str]) -> None:
    """Copy the contents of the files `names` (relative paths) from one folder to another."""
    for name in names:
        (dest / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, dest / name)


def bundle_files(bundle: Bundle) -> list[str]:
    """The files that make up a bundle."""
    manifest = bundle.manifest
    optional = (entry for entry in (manifest["base"], manifest["cascade"]) if entry is not None)
    entries = [manifest["full"], *manifest["segments"], *optional]
    return [MANIFEST, *sorted({entry["file"] for entry in entries})]


def size_of(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] not in "._")


def read_run(run: Path) -> dict:
    """The record of a training run. Raises `BundleError` when the run is not complete."""
    for name in RUN_FILES:
        if not (run / name).is_file():
            raise BundleError(f"{run} must have {' and '.join(RUN_FILES)}; {name} is missing")
    try:
        found = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{run / 'run.json'} must be a training record: {error}") from None
    if not isinstance(found, dict):
        raise BundleError(f"{run / 'run.json'} must be a training record, got {found!r:.40}")
    return found


def _check_page(folder: Path, card: ModelCard) -> None:
    page = folder / PAGE
    if not page.is_file() or page.read_text(encoding="utf-8") != card.to_markdown():
        raise BundleError(f"{page} must be made from {CARD}: write both with `add_model`")


def _check_files(folder: Path) -> None:
    """Nothing may lie in an entry that is not part of it."""
    expected = set(_entry_files(folder))
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in expected:
            raise BundleError(f"{folder}: {name} does not belong to the model")


def _entry_files(folder: Path) -> list[str]:
    bundle = (f"{BUNDLE}/{name}" for name in bundle_files(read_bundle(folder / BUNDLE)))
    return [CARD, PAGE, *bundle, *(f"{RUN}/{name}" for name in RUN_FILES)]
