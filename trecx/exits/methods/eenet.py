"""EENet: exits that learn when to be taken (Demir and Akbas, arXiv 2409.05336)."""

from keras import ops

from trecx.exits.cost import relative_costs
from trecx.exits.methods.method import Method, cross_entropy


class EENet(Method):
    """Expected prediction and expected cost, over the exits' own confidences.

    From the last exit to the first, with confidence h, softmax y and relative cost c:

        Y = h y + (1 - h) Y_next        C = h c + (1 - h) C_next

    where Y and C of the final output are its softmax and 1. The loss is the negative
    log-likelihood of Y plus `cost_weight` (the paper's lambda) times the mean of C: at the first
    exit, or with `every_exit` summed over all of them (the paper's fairer variant, where deep
    exits learn from samples that shallow ones would keep). A sample leaves where h >= 0.5.
    """

    exit_policy = "confidence"

    def __init__(self, *, cost_weight: float = 1.0, every_exit: bool = True):
        self.cost_weight, self.every_exit = cost_weight, every_exit
        self.costs: list[float] = []

    def graft(self, base, exits):
        network = super().graft(base, exits)
        self.costs = relative_costs(network.model)
        return network

    def loss(self, target, outputs, exits, progress):
        prediction, cost = outputs[-1], 1.0
        classes = prediction.shape[-1]
        total = 0.0
        for relative, output in reversed(list(zip(self.costs, outputs[:-1], strict=False))):
            softmax, confidence = output[:, :classes], output[:, classes:]
            prediction = confidence * softmax + (1 - confidence) * prediction
            cost = confidence * relative + (1 - confidence) * cost
            here = cross_entropy(target, prediction) + self.cost_weight * ops.mean(cost)
            total = total + here if self.every_exit else here
        return total
