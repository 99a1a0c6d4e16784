"""The figures of one folder of `trecx compare` that docs/RESULTS.md shows, as plain JSON.

The folder itself holds every answer of every network and is too large to keep; these figures are
small, stand in docs/results, and are all that the page is written from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from trecx.policies import (
    LOSSES,
    ChainOutputs,
    PathCosts,
    Resamples,
    SplitRole,
    benefit_curve,
)
from trecx.policies.bootstrap import Estimate
from trecx.reports.benefit import BenefitReport, Entry

YARDSTICK = "t-recx"
OURS = ("tower", "fine-tuned")
NETWORKS = (YARDSTICK, "t-recx-no-ev", *OURS)
RESAMPLES = Resamples()


@dataclass(frozen=True, eq=False)
class Study:
    """One folder of `trecx compare`. comparison: its comparison.json."""

    folder: Path
    comparison: dict

    @staticmethod
    def read(folder: Path) -> Study:
        """Raises OSError and ValueError when there is no comparison."""
        return Study(folder, json.loads((folder / "comparison.json").read_text()))

    @property
    def title(self) -> str:
        return title_of(self.comparison)

    @cached_property
    def int8(self) -> BenefitReport:
        return self._report("base", "")

    @cached_property
    def float(self) -> BenefitReport:
        return self._report("base", "float-")

    @cached_property
    def own_depth(self) -> BenefitReport:
        """Losses against each network's own full depth, as T-RecX counts them."""
        return self._report("full", "")

    @property
    def ours(self) -> str:
        """Which network of the comparison is trecx's own."""
        return next(e.name for e in self.int8.entries if e.name in OURS)

    def figures(self) -> dict:
        """Everything that the page says of this study."""
        curve = self.int8.entries[0].curve
        base = next(t for t in self.comparison["trainings"] if t["name"] == "base")
        # The network without exits may be given, trained: the epochs are those of the others.
        epochs = max(t["epochs"] for t in self.comparison["trainings"])
        return {
            "task": self.comparison["task"],
            "data": self.comparison["data"],
            "seed": base["seed"],
            "epochs": epochs,
            "calibration_samples": curve.calibration_samples,
            "test_samples": curve.test_samples,
            "ours": self.ours,
            "answers": self._answers(),
            "picks": {
                "int8": _picks(self.int8),
                "float": _picks(self.float),
                "own full depth": _picks(self.own_depth),
            },
            "differences": {
                "base": self._differences(self.int8),
                "own full depth": self._differences(self.own_depth),
            },
            "above_base": asdict(self.above_base(self.ours)),
        }

    def entry(self, name: str, report: BenefitReport | None = None) -> Entry:
        return next(e for e in (report or self.int8).entries if e.name == name)

    def above_base(self, name: str) -> Estimate:
        """Full-depth accuracy of a network minus that of the base network, paired."""
        right = self._outputs(name, "")[1].correct()[-1].astype(float)
        base = self._outputs("base", "")[1].correct()[-1].astype(float)
        return RESAMPLES.estimates((right - base)[:, None])[0]

    def _answers(self) -> list[dict]:
        """Accuracy of every exit and of the full depth of every network."""
        methods = {m["name"]: m for m in self.comparison["benefit"]["methods"]}
        found = []
        for network in ("base", *(e.name for e in self.int8.entries)):
            exits = [p for p in self.comparison["precisions"] if p["name"] == network]
            method = methods.get(network)
            for k, exit_ in enumerate(exits):
                curve = method and method["curve"]
                found.append(
                    {
                        "network": network,
                        "exit": exit_["exit"],
                        "cost": curve["path_costs"][k] / curve["reference_cost"] if curve else 1.0,
                        "float": exit_["float_accuracy"],
                        "int8": exit_["int8_accuracy"],
                        "change": exit_["change"],
                        "parameters_added": method and method["parameters_added"],
                    }
                )
        return found

    def _differences(self, report: BenefitReport) -> dict[str, list[dict | None]]:
        """Reduction of our picks minus that of every other network's, at each of `LOSSES`."""
        ours = self.entry(self.ours, report)
        return {
            entry.name: [
                _plain(report.reduction_difference(ours, i, entry)) for i in range(len(LOSSES))
            ]
            for entry in report.entries
            if entry.name != ours.name
        }

    def _report(self, reference: str, kind: str) -> BenefitReport:
        base = self._outputs("base", kind)
        entries = []
        for method in self.comparison["benefit"]["methods"]:
            if method["name"] not in NETWORKS:
                continue
            curve = method["curve"]
            costs = PathCosts(tuple(curve["path_costs"]), "FLOPs", curve["reference_cost"])
            splits = self._outputs(method["name"], kind)
            beside = [_with_base(o, b) for o, b in zip(splits, base, strict=True)]
            found = benefit_curve(
                *beside, costs, curve["policy"], reference, curve["area_from"], RESAMPLES
            )
            entries.append(Entry(method["name"], found))
        entries.sort(key=lambda entry: NETWORKS.index(entry.name))
        title = f"{self.title}, {'float' if kind else 'int8'}"
        return BenefitReport(title, tuple(entries), RESAMPLES)

    def _outputs(self, network: str, kind: str) -> list[ChainOutputs]:
        folder = self.folder / "outputs"
        splits = (SplitRole.CALIBRATION, SplitRole.TEST)
        return [ChainOutputs.load(folder / f"{network}-{kind}{s.value}.npz") for s in splits]


def _with_base(outputs: ChainOutputs, base: ChainOutputs) -> ChainOutputs:
    return ChainOutputs(
        outputs.outputs, outputs.labels, outputs.split, outputs.quants, base.outputs[-1]
    )


def _picks(report: BenefitReport) -> dict[str, list[dict | None]]:
    """What each network saves and loses on the test split with the thresholds of `LOSSES`."""
    return {
        entry.name: [
            p and {"reduction": asdict(p.reduction), "loss": p.loss.value}
            for p in entry.curve.picks
        ]
        for entry in report.entries
    }


def _plain(estimate: Estimate | None) -> dict | None:
    return None if estimate is None else asdict(estimate)


def title_of(study: dict) -> str:
    """Of a comparison, or of the figures of one: studies that differ in their seed share it."""
    return f"{study['task']} on {study['data']}"


def by_title(studies: Sequence[dict]) -> dict[str, list[dict]]:
    """Figures of studies, those of one task and data set together, in the order of their seeds."""
    groups: dict[str, list[dict]] = {}
    for study in sorted(studies, key=lambda s: (s["task"], s["data"], s["seed"])):
        groups.setdefault(title_of(study), []).append(study)
    return groups
