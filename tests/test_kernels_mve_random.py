"""Every Helium scheme that takes a random operator computes it as the interpreter does."""

import numpy as np
import pytest

from tests.support.mve_cases import check_scheme
from tests.support.random_ops import random_graph
from trecx.codegen.kernels.mve_common import MveChoice
from trecx.codegen.lowering import REGISTRY

KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "AVERAGE_POOL_2D")
GRAPHS = 30


@pytest.mark.parametrize("kind", KINDS)
def test_random_operators(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    graphs = [random_graph(kind, rng, hard=bool(rng.random() < 0.3)) for _ in range(GRAPHS)]
    taken = 0
    for choice in REGISTRY:
        if not isinstance(choice, MveChoice) or kind not in choice.kinds:
            continue
        fitting = [g for g in graphs if choice.reason_against(g.operators[0]) is None]
        if fitting:
            check_scheme(choice, fitting, rng, samples=3)
        taken += len(fitting)
    assert taken >= GRAPHS // 3
