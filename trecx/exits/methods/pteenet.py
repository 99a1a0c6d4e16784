"""PTEENet: exits for a pre-trained, frozen network (Lahiany and Aperstein, arXiv 2501.02508)."""

from trecx.exits.methods.eenet import EENet


class PTEENet(EENet):
    """EENet's loss over the exits, with the frozen network's output as the last term.

    The network keeps its weights, its batch-norm statistics and its outputs bit for bit; only
    the branches train, so that no knowledge of how the network was trained is needed. The paper
    stops by a validation loss; here the recipe's schedule decides, and no split is used twice.
    """

    needs_trained_base = True

    def graft(self, base, exits):
        network = super().graft(base, exits)
        network.freeze_base()
        return network
