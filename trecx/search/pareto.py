"""Pareto fronts of outcomes: more accuracy, less cost."""

from __future__ import annotations

from collections.abc import Sequence

from trecx.search.trial import Outcome


def dominates(a: Outcome, b: Outcome) -> bool:
    """Whether `a` is at least as good as `b` in accuracy and cost, and better in one of them."""
    at_least = a.accuracy >= b.accuracy and a.cost <= b.cost
    return at_least and (a.accuracy > b.accuracy or a.cost < b.cost)


def front(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that no other dominates, cheapest first."""
    kept = [o for o in outcomes if not any(dominates(other, o) for other in outcomes)]
    return sorted(kept, key=lambda o: (o.cost, -o.accuracy, o.trial.key))


def ranked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The front, then the front of the rest, and so on (non-dominated sorting)."""
    result, rest = [], list(outcomes)
    while rest:
        layer = front(rest)
        result += layer
        rest = [o for o in rest if o not in layer]
    return result


def recommended(outcomes: Sequence[Outcome], max_accuracy_loss: float | None) -> Outcome | None:
    """The cheapest of the front within `max_accuracy_loss` points of its most accurate; without
    such a limit the most accurate."""
    candidates = front(outcomes)
    if not candidates:
        return None
    least = max(o.accuracy for o in candidates) - (max_accuracy_loss or 0.0) / 100
    return next(o for o in candidates if o.accuracy >= least - 1e-12)
