"""Joint training in which every exit also learns from the final output."""

from keras import ops

from trecx.errors import InputError
from trecx.exits.methods.method import FLOOR, Method, cross_entropy


class Distilled(Method):
    """Cross-entropy at every exit, mixed with distillation from the final output.

    The teacher is the final output of the same step, behind a stopped gradient (self-distillation,
    Phuong and Lampert, ICCV 2019), so that it costs no further pass.

    Args:
        share: of each exit's loss that is distillation, 0..1.
        temperature: both distributions are softened by it; the loss is scaled by its square, as
            Hinton, Vinyals and Dean do (arXiv 1503.02531).
    """

    def __init__(self, *, share: float = 0.5, temperature: float = 3.0):
        if not 0 <= share <= 1 or temperature <= 0:
            raise InputError(
                "share must be in 0..1 and temperature positive, "
                f"got share {share}, temperature {temperature}"
            )
        self.share, self.temperature = share, temperature

    def loss(self, target, outputs, exits, progress):
        final = outputs[-1]
        total = cross_entropy(target, final)
        teacher = ops.stop_gradient(final)
        for spec, output in zip(exits, outputs, strict=False):
            hard = cross_entropy(target, output)
            soft = soft_cross_entropy(teacher, output, self.temperature)
            total = total + spec.loss_weight * ((1 - self.share) * hard + self.share * soft)
        return total


def soft_cross_entropy(teacher, student, temperature: float):
    """Cross-entropy of two distributions, both softened, times the square of the temperature."""

    def soften(probabilities):
        return ops.softmax(ops.log(ops.maximum(probabilities, FLOOR)) / temperature)

    return cross_entropy(soften(teacher), soften(student)) * temperature**2
