"""Shallow-Deep Networks: exits whose loss weights grow (Kaya, Hong and Dumitras, ICML 2019)."""

from trecx.exits.cost import relative_costs
from trecx.exits.methods.method import Method, cross_entropy


class ShallowDeep(Method):
    """Joint cross-entropy; an exit's weight grows from `start` to its relative cost.

    The relative cost is the share of the full network's MACs that the exit needs, so that shallow
    exits disturb the network less. The exits' own `loss_weight` is not used. A sample leaves at the
    first exit whose largest probability exceeds the one threshold of all exits.
    """

    exit_policy = "shared_max_softmax"

    def __init__(self, *, start: float = 0.01):
        self.start = start
        self.costs: list[float] = []

    def graft(self, base, exits):
        network = super().graft(base, exits)
        self.costs = relative_costs(network.model)
        return network

    def loss(self, target, outputs, exits, progress):
        total = cross_entropy(target, outputs[-1])
        for cost, output in zip(self.costs, outputs[:-1], strict=False):
            weight = self.start + (cost - self.start) * progress
            total = total + weight * cross_entropy(target, output)
        return total
