"""Candidates: what a search chooses among."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trecx.errors import InputError
from trecx.task import ExitSpec


@dataclass(frozen=True)
class Candidate:
    """The exits of one candidate network, in order of depth."""

    exits: tuple[ExitSpec, ...]

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that depend on the exits only: names files and folders."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """For tables: place, head and its options, loss weight, assistance of each exit."""
        return "; ".join(_title(spec) for spec in self.exits)

    def to_json(self) -> list[dict[str, Any]]:
        return [
            asdict(spec)
            | {"options": dict(spec.options)}
            | {"assist_options": dict(spec.assist_options)}
            for spec in self.exits
        ]

    @staticmethod
    def from_json(entries: list[dict[str, Any]]) -> Candidate:
        return Candidate(tuple(ExitSpec(**entry) for entry in entries))


def grid(
    places: Sequence[str],
    heads: Sequence[tuple[str, Mapping[str, Any]]],
    loss_weights: Sequence[float] = (0.5,),
    assists: Sequence[tuple[str | None, Mapping[str, Any]]] = ((None, {}),),
) -> list[Candidate]:
    """Every combination of one exit.

    places: layer names. heads, assists: (kind, options). InputError when the grid is empty.
    """
    combinations = itertools.product(places, heads, loss_weights, assists)
    found = [
        Candidate((ExitSpec(at, head, dict(options), weight, assist, dict(assist_options)),))
        for at, (head, options), weight, (assist, assist_options) in combinations
    ]
    if not found:
        raise InputError("the search space is empty: give at least one place, head and loss weight")
    return list({candidate.key: candidate for candidate in found}.values())


def _title(spec: ExitSpec) -> str:
    options = ", ".join(f"{k}={v}" for k, v in sorted(spec.options.items()))
    head = f"{spec.head}({options})" if options else spec.head
    assist = f", {spec.assist}" if spec.assist else ""
    return f"{spec.at}: {head}, weight {spec.loss_weight:g}{assist}"
