"""Instructions, RAM, flash and stack of the reference models stay within the committed budgets."""

import json

import pytest

from benchmarks.inference import BUDGETS, FIGURES, TOLERANCE, measure
from benchmarks.reference_models import MODELS

TARGETS = ("mps2-an386", "mps3-an547")
LEVEL = "balanced"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("model", MODELS)
def test_within_budget(model, target):
    """Figures are deterministic for one compiler; another release may move them a little."""
    budget = json.loads(BUDGETS.read_text())[f"{model} {target} {LEVEL}"]
    found = measure(model, target, LEVEL)
    print(f"{model} on {target}:", found)
    for figure in FIGURES:
        assert found[figure] <= budget[figure] * (1 + TOLERANCE), (figure, budget[figure])
