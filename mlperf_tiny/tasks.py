"""The MLPerf Tiny benchmarks as trecx tasks: ic, kws, vww, ad."""

import dataclasses
import importlib

from mlperf_tiny.datasets import cifar10
from trecx.task import ExitSpec, QualityTarget, Recipe, Task


def _model(module: str):
    """The builder of a model module, importing Keras only when called."""

    def build(classes: int):
        return importlib.import_module(f"mlperf_tiny.models.{module}").build(classes)

    return build


def _variants(base: Recipe, t_recx: Recipe) -> dict[str, Recipe]:
    """T-RecX's recipe with and without early-view assistance, and the base network's."""
    blind = tuple(dataclasses.replace(e, assist=None, assist_options={}) for e in t_recx.exits)
    without = dataclasses.replace(t_recx, name="t-recx-no-ev", exits=blind)
    return {recipe.name: recipe for recipe in (base, t_recx, without)}


IC_T_RECX = Recipe(
    name="t-recx",
    method="t-recx",
    exits=(
        ExitSpec(
            at="stack1_relu",
            head="t-recx",
            options={"channels": 32, "kernel": 2, "stride": 2, "pool": 4},
            loss_weight=0.5,
            assist="early-view",
            assist_options={"stride": 2},
        ),
    ),
    epochs=500,
    batch_size=32,
    learning_rate=1e-3,
    schedule="exponential",
    decay=0.99,
    augmentation="rotate-shift-flip",
)
IC_BASE = dataclasses.replace(IC_T_RECX, name="base", method="base", exits=())

IC = Task(
    name="ic",
    title="image classification (CIFAR-10, ResNet-8)",
    input_shape=(32, 32, 3),
    input_range=(0.0, 255.0),
    labels=cifar10.LABELS,
    build=_model("resnet8"),
    sources={"cifar10": cifar10.load},
    recipes=_variants(IC_BASE, IC_T_RECX),
    default_recipe="t-recx",
    quality=QualityTarget("top-1", 0.85),
)

TASKS = {task.name: task for task in (IC,)}
