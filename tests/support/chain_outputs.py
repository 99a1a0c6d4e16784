"""Simulated int8 outputs of a chain of classifiers, with easy and hard samples."""

import numpy as np

from trecx.policies import ChainOutputs, SplitRole


def softmax_int8(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return np.clip(np.rint(p * 256) - 128, -128, 127).astype(np.int8)


def chain_outputs(
    n: int,
    seed: int,
    split: SplitRole = SplitRole.CALIBRATION,
    classes: int = 10,
    strengths: tuple[float, ...] = (2.0, 3.5),
    class_bias: float = 0.0,
    confidence: bool = False,
    base: bool = False,
) -> ChainOutputs:
    """Segments of growing strength; errors of the segments are correlated through the difficulty.

    class_bias: how much the early exits' overconfidence differs from class to class.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    easiness = rng.gamma(2.0, 0.5, n)
    shared = rng.normal(size=(n, classes))
    outputs = []
    for k, strength in enumerate(strengths):
        logits = 0.7 * shared + 0.7 * rng.normal(size=(n, classes))
        logits[np.arange(n), labels] += strength * easiness
        if k < len(strengths) - 1:
            top = logits.argmax(axis=1)
            # The classes' confidences differ in quality: some are inflated, some deflated.
            gain = np.exp(class_bias * np.linspace(-1, 1, classes))[top]
            logits = logits * gain[:, None]
        q = softmax_int8(1.5 * logits)
        if confidence and k < len(strengths) - 1:
            right = np.where(logits.argmax(axis=1) == labels, 1.5, -0.5) + rng.normal(size=n)
            level = np.clip(np.rint(256 / (1 + np.exp(-right)) - 128), -128, 127)
            q = np.concatenate([q, level[:, None].astype(np.int8)], axis=1)
        outputs.append(q)
    base_output = None
    if base:
        logits = 0.7 * shared + 0.7 * rng.normal(size=(n, classes))
        logits[np.arange(n), labels] += strengths[-1] * easiness
        base_output = softmax_int8(1.5 * logits)
    return ChainOutputs(tuple(outputs), labels, split, base=base_output)
