"""The model card: what a trained model is, where it comes from and what it reaches."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trecx.errors import BundleError, InputError
from trecx.task import Recipe

CARD = "card.json"
PAGE = "card.md"
FORMAT = 1

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Figure:
    """A measured value, for instance ("top-1 accuracy, exit 1, int8", 71.2, "%")."""

    what: str
    value: float
    unit: str = ""


@dataclass(frozen=True)
class ModelCard:
    """See the fields' names; all text is for people.

    name: lower-case letters, digits, hyphens. data: as reports call it; synthetic data are always
    labelled so. data_description: what it is, how it was split. data_licence, licence: of the data
    and of the weights. figures: on the test split, which neither training nor calibration saw.
    commands: that make this model again, from a user's data. software: package -> version.
    notes: what the model is not good for. bundle_digest: of the bundle beside the card.
    """

    name: str
    title: str
    task: str
    labels: tuple[str, ...]
    data: str
    synthetic: bool
    data_description: str
    data_licence: str
    recipe: Recipe
    seed: int
    figures: tuple[Figure, ...]
    commands: tuple[str, ...]
    software: Mapping[str, str]
    licence: str
    notes: str
    bundle_digest: str

    def __post_init__(self):
        texts = ("title", "task", "data", "data_description", "data_licence", "licence", "notes")
        checks = [
            (_NAME.fullmatch(self.name), "name must be lower-case words with hyphens", self.name),
            *((getattr(self, text).strip(), f"{text} must not be empty", "''") for text in texts),
            (self.labels, "labels must not be empty", "()"),
            (self.figures, "a card must have figures", "none"),
            (self.commands, "a card must have the commands that make the model", "none"),
            (self.software, "a card must name the software it was trained with", "none"),
            (
                len({figure.what for figure in self.figures}) == len(self.figures),
                "figures must differ in what they are",
                [figure.what for figure in self.figures],
            ),
            (
                re.fullmatch("[0-9a-f]{64}", self.bundle_digest),
                "bundle_digest must be 64 hexadecimal digits",
                self.bundle_digest,
            ),
        ]
        for figure in self.figures:
            finite = math.isfinite(figure.value)
            checks.append((finite, f"{figure.what} must be a finite number", figure.value))
        for good, rule, value in checks:
            if not good:
                raise BundleError(f"model card {self.name!r}: {rule}, got {value}")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            "format": FORMAT,
            **fields,
            "labels": list(self.labels),
            "recipe": self.recipe.to_json(),
            "figures": [dataclasses.asdict(figure) for figure in self.figures],
            "commands": list(self.commands),
            "software": dict(self.software),
        }

    @classmethod
    def from_json(cls, value: Any) -> "ModelCard":
        """The inverse of `to_json`. Raises `BundleError` for anything else."""
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise BundleError(f"a model card must be a JSON object of format {FORMAT}")
        wanted = {field.name: field.type for field in dataclasses.fields(cls)}
        odd = set(value) - {"format"} ^ set(wanted)
        if odd:
            raise BundleError(f"a model card has exactly its fields; odd: {', '.join(sorted(odd))}")
        for name, kind in wanted.items():
            expected = _JSON_TYPES.get(kind, dict if name in ("recipe", "software") else list)
            if type(value[name]) is not expected:
                raise BundleError(
                    f"model card: {name} must be of type {expected.__name__}, got {value[name]!r}"
                )
        fields = {name: value[name] for name in wanted}
        try:
            fields["recipe"] = Recipe.from_json(value["recipe"])
            fields["figures"] = tuple(
                Figure(str(f["what"]), float(f["value"]), str(f["unit"])) for f in value["figures"]
            )
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"model card {value['name']!r}: {error}") from None
        fields["labels"] = tuple(map(str, value["labels"]))
        fields["commands"] = tuple(map(str, value["commands"]))
        return cls(**fields)

    def to_markdown(self) -> str:
        """The card as a page."""
        recipe = self.recipe.to_json()
        synthetic = " (synthetic data)" if self.synthetic else ""
        lines = [
            f"# {self.name}",
            "",
            self.title,
            "",
            f"- Task: {self.task}, {len(self.labels)} classes: {', '.join(self.labels)}",
            f"- Data: {self.data}{synthetic}. {self.data_description}",
            f"- Licence: weights {self.licence}; data {self.data_licence}",
            f"- Recipe: `{self.recipe.name}`, seed {self.seed}",
            f"- Software: {', '.join(f'{k} {v}' for k, v in sorted(self.software.items()))}",
            f"- Limits: {self.notes}",
            "",
            "| on the test split | |",
            "|---|---|",
            *(f"| {f.what} | {_number(f.value)} {f.unit}".rstrip() + " |" for f in self.figures),
            "",
            "Made by",
            "",
            *(f"    {command}" for command in self.commands),
            "",
            "with the recipe",
            "",
            *(f"    {line}" for line in json.dumps(recipe, indent=2).splitlines()),
        ]
        return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,.6g}"


_JSON_TYPES = {str: str, int: int, bool: bool}


def read_card(folder: Path) -> ModelCard:
    """The card in `folder`. Raises `BundleError` when it is missing or malformed."""
    path = folder / CARD
    try:
        return ModelCard.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        if isinstance(error, BundleError):
            raise BundleError(f"{path}: {error}") from None
        raise BundleError(f"{path} must be a model card: {error}") from None


def card_files(card: ModelCard) -> dict[str, str]:
    """File name -> content of the card's two forms."""
    text = json.dumps(card.to_json(), indent=1, ensure_ascii=False) + "\n"
    return {CARD: text, PAGE: card.to_markdown()}
