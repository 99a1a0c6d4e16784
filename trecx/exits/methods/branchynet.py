"""BranchyNet: all exits trained jointly with fixed weights (arXiv 1709.01686)."""

from trecx.exits.methods.method import Method
from trecx.exits.methods.t_recx import weighted_cross_entropy


class BranchyNet(Method):
    """Weighted sum of every exit's cross-entropy; samples leave where the entropy is low."""

    exit_policy = "entropy"

    def loss(self, target, outputs, exits, progress):
        return weighted_cross_entropy(target, outputs, exits)
