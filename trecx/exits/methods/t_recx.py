"""T-RecX: joint training of one exit, with early-view assistance (arXiv 2207.06613)."""

from trecx.errors import InputError
from trecx.exits.methods.method import Method, cross_entropy


class TRecx(Method):
    """Weighted sum of the exits' and the final cross-entropy.

    transfer: part of the epochs during which the early view computes with the exit's filters.
    """

    def __init__(self, *, transfer: float = 0.8):
        if not 0 <= transfer <= 1:
            raise InputError(f"transfer must be a share of the epochs in 0..1, got {transfer}")
        self.transfer = transfer

    def on_epoch_begin(self, network, epoch, epochs):
        if epoch >= self.transfer * epochs:
            network.release_assists()

    def loss(self, target, outputs, exits, progress):
        return weighted_cross_entropy(target, outputs, exits)


def weighted_cross_entropy(target, outputs, exits):
    """Cross-entropy of the final output plus that of each exit times its loss weight."""
    total = cross_entropy(target, outputs[-1])
    for spec, output in zip(exits, outputs, strict=False):
        total = total + spec.loss_weight * cross_entropy(target, output)
    return total
