"""What a trained network answers before it is quantised, in the form that exit policies read."""

from __future__ import annotations

import numpy as np

from trecx.policies import ChainOutputs, SplitRole
from trecx.policies.rules import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT
from trecx.stages.outputs import spread


def float_chain_outputs(
    model, samples, split: SplitRole, *, limit: int | None = None
) -> ChainOutputs:
    """Outputs of every exit of a float Keras model for the samples of a split.

    Weights and activations are float; only the final probabilities are rounded to the int8 output
    form, so that the same policies are calibrated on them and any difference to the int8 network
    comes from its quantisation. limit: at most so many samples, evenly spread.
    """
    from trecx.exits import predict

    indices = spread(len(samples), limit)
    outputs = predict(model, samples)
    classes = outputs[-1].shape[1]
    return ChainOutputs(
        tuple(to_int8_form(output[indices], classes) for output in outputs),
        np.asarray(samples.labels)[indices],
        split,
    )


def to_int8_form(output: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities (N, units) as int8 of scale 1/256 and zero point -128.

    The most probable of the first `classes` stays the only largest: rounding must not change an
    answer.
    """
    q = np.clip(np.rint(output / SOFTMAX_SCALE) + SOFTMAX_ZERO_POINT, -128, 127).astype(np.int16)
    rows, answers = np.arange(len(q)), np.argmax(output[:, :classes], axis=1)
    top = np.maximum(q[rows, answers], -127)
    scores = np.minimum(q[:, :classes], top[:, None] - 1)
    scores[rows, answers] = top
    return np.concatenate([scores, q[:, classes:]], axis=1).astype(np.int8)
