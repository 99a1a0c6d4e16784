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
    most_exits: int = 1,
) -> list[Candidate]:
    """Every combination of up to `most_exits` places with one kind of exit.

    places: layer names by depth. heads, assists: (kind, options). InputError for an empty grid.
    """
    if most_exits < 1:
        raise InputError(f"a candidate needs at least one exit, got {most_exits}")
    sets = [
        chosen
        for count in range(1, most_exits + 1)
        for chosen in itertools.combinations(places, count)
    ]
    found = [
        Candidate(
            tuple(
                ExitSpec(at, head, dict(options), weight, assist, dict(assist_options))
                for at in chosen
            )
        )
        for chosen, (head, options), weight, (assist, assist_options) in itertools.product(
            sets, heads, loss_weights, assists
        )
    ]
    if not found:
        raise InputError("the search space is empty: give at least one place, head and loss weight")
    return list({candidate.key: candidate for candidate in found}.values())


def scaled(options: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """A head's options with its channels multiplied by `factor`, at least one each.

    Channels are `channels`, `convs` (one convolution each), and `blocks` (kind, channels,
    stride); a head without any of them stays as it is.
    """

    def width(channels: int) -> int:
        return max(1, round(factor * channels))

    found = dict(options)
    if found.get("channels") is not None:
        found["channels"] = width(found["channels"])
    if "convs" in found:
        found["convs"] = [width(channels) for channels in found["convs"]]
    if "blocks" in found:
        blocks = found["blocks"]
        found["blocks"] = [[kind, width(channels), stride] for kind, channels, stride in blocks]
    return found


def _title(spec: ExitSpec) -> str:
    options = ", ".join(f"{k}={v}" for k, v in sorted(spec.options.items()))
    head = f"{spec.head}({options})" if options else spec.head
    assist = f", {spec.assist}" if spec.assist else ""
    return f"{spec.at}: {head}, weight {spec.loss_weight:g}{assist}"
