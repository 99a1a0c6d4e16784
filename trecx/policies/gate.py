"""The class gate: a logistic model of when the early answer is as right as the final one.

    P(as right) = sigmoid(slope * logit(p_max) + intercept + offset[predicted class])

K + 1 degrees of freedom for K classes: offsets have a ridge penalty that pulls them to zero, that
is, towards one threshold for all classes. Fitted by Newton's method (iteratively reweighted least
squares); the strength of the penalty is chosen by cross-validation. No offsets at all, which is
exactly the max-softmax order, is kept unless offsets are better by more than a standard error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PENALTIES = (np.inf, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
FOLDS = 5


@dataclass(frozen=True, eq=False)
class GateModel:
    """slope, and one bias (intercept + offset) for each class; penalty: the one chosen."""

    slope: float
    biases: np.ndarray
    penalty: float

    def score(self, logit: np.ndarray, top: np.ndarray) -> np.ndarray:
        """Log-odds that the early answer is as right, for logit(p_max) and predicted classes."""
        return self.slope * logit + self.biases[top]


def fit_gate(logit: np.ndarray, top: np.ndarray, as_right: np.ndarray, classes: int) -> GateModel:
    """Fit the gate.

    logit: logit(p_max), float (N,). top: predicted classes, int (N,). as_right: bool (N,).
    A fit whose slope is not positive means that the confidence says nothing; the gate then falls
    back to the plain order of p_max.
    """
    penalty = _choose_penalty(logit, top, as_right, classes)
    model = _fit(logit, top, as_right, classes, penalty)
    return model if model.slope > 0 else GateModel(1.0, np.zeros(classes), np.inf)


def _choose_penalty(
    logit: np.ndarray, top: np.ndarray, as_right: np.ndarray, classes: int
) -> float:
    """The penalty with the least cross-validated loss, if that beats having no offsets by more
    than its standard error; otherwise none (inf)."""
    losses = [_held_out_losses(logit, top, as_right, classes, p) for p in PENALTIES]
    best = int(np.argmin([loss.sum() for loss in losses]))
    gain = losses[0] - losses[best]
    return PENALTIES[best] if gain.mean() > gain.std() / np.sqrt(len(gain)) else PENALTIES[0]


def _held_out_losses(
    logit: np.ndarray, top: np.ndarray, as_right: np.ndarray, classes: int, penalty: float
) -> np.ndarray:
    """Log loss of every sample under the model fitted without its fold."""
    fold = np.arange(len(logit)) % FOLDS
    losses = np.empty(len(logit))
    for k in range(FOLDS):
        fit, held = fold != k, fold == k
        model = _fit(logit[fit], top[fit], as_right[fit], classes, penalty)
        losses[held] = _log_losses(model.score(logit[held], top[held]), as_right[held])
    return losses


def _fit(
    logit: np.ndarray, top: np.ndarray, as_right: np.ndarray, classes: int, penalty: float
) -> GateModel:
    offsets = np.isfinite(penalty)
    design = np.column_stack(
        [logit, np.ones_like(logit)] + ([np.eye(classes)[top]] if offsets else [])
    )
    # A trace of ridge on slope and intercept keeps separable data finite.
    ridge = np.array([1e-3, 1e-3] + ([penalty] * classes if offsets else []))
    weights = _newton(design, as_right.astype(np.float64), ridge)
    biases = weights[1] + (weights[2:] if offsets else np.zeros(classes))
    return GateModel(float(weights[0]), biases, float(penalty))


def _newton(design: np.ndarray, target: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Minimum of the ridge-penalised logistic loss, which is strictly convex."""
    weights = np.zeros(design.shape[1])

    def objective(w: np.ndarray) -> float:
        return float(_log_losses(design @ w, target).sum() + 0.5 * ridge @ w**2)

    value = objective(weights)
    for _ in range(100):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - target) + ridge * weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10 and objective(weights - size * step) > value:
            size /= 2  # the full Newton step can overshoot far from the minimum
        weights = weights - size * step
        previous, value = value, objective(weights)
        if previous - value < 1e-9 * (1 + abs(value)):
            break
    return weights


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _log_losses(score: np.ndarray, target: np.ndarray) -> np.ndarray:
    """-log P(target) of each sample, for log-odds `score`."""
    return np.logaddexp(0, np.where(target > 0.5, -score, score))
