"""A bound on the accuracy loss that holds with a stated probability, whatever the distribution.

Learn then Test (Angelopoulos, Bates, Candes, Jordan and Lei, arXiv 2110.01052): each setting is a
null hypothesis "its expected loss is above the bound"; settings are tested from strict to loose
and the test stops at the first that cannot be rejected (fixed-sequence testing), so the chance
that any accepted setting breaks the bound is at most delta. It needs exchangeable samples and a
sequence of settings that was fixed without looking at them.

The loss of a sample is reference right minus chain right, which is -1, 0 or 1. Its p-value is the
inverse of an e-value: the wealth of a gambler who bets against the null with a mixture of fixed
stakes (Waudby-Smith and Ramdas, arXiv 2010.09686). Unlike Hoeffding-Bentkus bounds of a loss
rescaled to 0..1, it profits from most losses being exactly zero.
"""

from __future__ import annotations

import numpy as np

from trecx.errors import BudgetError, InputError

STAKES = np.geomspace(1e-3, 0.95, 40)
"""Fractions of the largest stake that cannot lose everything."""


def p_value(harmed: int, helped: int, samples: int, bound: float) -> float:
    """Evidence against "expected loss > bound" for a loss in {-1, 0, 1}.

    harmed, helped: samples with loss 1 and -1, of `samples`. bound: in 0 < bound < 1.
    Under the null, P(p_value <= delta) <= delta for every delta (Markov's inequality).
    """
    stakes = STAKES / (1 - bound)
    log_wealth = (
        harmed * np.log1p(-stakes * (1 - bound))
        + (samples - harmed - helped) * np.log1p(stakes * bound)
        + helped * np.log1p(stakes * (1 + bound))
    )
    log_e = np.logaddexp.reduce(log_wealth) - np.log(len(stakes))
    return float(min(1.0, np.exp(-log_e)))


def required_samples(bound: float, delta: float) -> int:
    """Fewest samples with which a setting that changes no answer at all can be accepted."""
    require_risk(bound, delta)
    low, high = 0, 1
    while p_value(0, 0, high, bound) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if p_value(0, 0, middle, bound) > delta:
            low = middle
        else:
            high = middle
    return high


def require_samples(samples: int, bound: float, delta: float, whole: int | None = None) -> None:
    """BudgetError naming the needed number when `samples` cannot support the guarantee.

    whole: of how many they are one half, when the other half has another use.
    """
    needed = required_samples(bound, delta)
    if samples < needed:
        half = f"; they are half of {whole}, so {2 * needed} in all" if whole is not None else ""
        raise BudgetError(
            f"a guarantee of at most {100 * bound:g} points of loss with probability "
            f"{1 - delta:g} needs at least {needed} calibration samples for the test, "
            f"got {samples}{half}"
        )


def require_risk(bound: float, delta: float) -> None:
    """InputError unless 0 < bound < 1 and 0 < delta < 1."""
    if not 0 < bound < 1:
        raise InputError(
            f"a guaranteed accuracy loss must be above 0 and below 100 points, got {100 * bound:g}"
        )
    if not 0 < delta < 1:
        raise InputError(
            f"the probability of a guarantee must be between 0 and 1, got {1 - delta:g}"
        )
