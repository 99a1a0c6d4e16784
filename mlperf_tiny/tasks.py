"""The MLPerf Tiny benchmarks as trecx tasks: ic, kws, vww, ad.

Recipes of each:

- "t-recx": as published (Ghanathe and Wilton, arXiv 2207.06613); "t-recx-no-ev" without early-view
  assistance; "base" the network without exits, in the same way;
- "tower": our own: a small strided network right behind the first convolution, distilled from the
  final exit, whose features the final classifier reads too; "tower-base" the network without exits
  in the same way;
- "demo": a short one for the synthetic data;
- "fine-tuned" (vww): an exit for a network that is trained already, from few images.

Models and data sets are imported when they are asked for.
"""

import dataclasses
import importlib

from mlperf_tiny.datasets import LABELS
from trecx.task import ExitSpec, QualityTarget, Recipe, Task


def _model(module: str):
    """The builder of a model module."""

    def build(classes: int):
        return importlib.import_module(f"mlperf_tiny.models.{module}").build(classes)

    return build


@dataclasses.dataclass(frozen=True)
class _Source:
    """A loader of a data set module."""

    module: str
    function: str = "load"

    @property
    def __wrapped__(self):
        """The function itself, as `inspect` looks for it."""
        dataset = importlib.import_module(f"mlperf_tiny.datasets.{self.module}")
        return getattr(dataset, self.function)

    def __call__(self, *args, **kwargs):
        return self.__wrapped__(*args, **kwargs)


def _recipes(
    *, t_recx: Recipe, tower: Recipe, demo: Recipe, others: tuple[Recipe, ...] = ()
) -> dict[str, Recipe]:
    """The named recipes with those that follow from them, by name."""
    blind = tuple(dataclasses.replace(e, assist=None, assist_options={}) for e in t_recx.exits)
    recipes = [
        t_recx,
        dataclasses.replace(t_recx, name="t-recx-no-ev", exits=blind),
        _without_exits(t_recx, "base"),
        tower,
        _without_exits(tower, "tower-base"),
        demo,
        *others,
    ]
    return {recipe.name: recipe for recipe in recipes}


def _without_exits(recipe: Recipe, name: str) -> Recipe:
    return dataclasses.replace(recipe, name=name, method="base", exits=(), method_options={})


def _tower_exit(
    blocks: tuple[tuple[str, int, int], ...], *, loss_weight: float = 1.0, **options
) -> ExitSpec:
    return ExitSpec(
        at="stem_relu",
        head="tower",
        options={"blocks": blocks, **options},
        loss_weight=loss_weight,
        assist="features",
    )


IC_EXIT = ExitSpec(
    at="stack1_relu",
    head="t-recx",
    options={"channels": 32, "kernel": 2, "stride": 2, "pool": 4},
    loss_weight=0.5,
    assist="early-view",
    assist_options={"stride": 2},
)
IC = Task(
    name="ic",
    title="image classification (CIFAR-10, ResNet-8)",
    input_shape=(32, 32, 3),
    input_range=(0.0, 255.0),
    labels=LABELS["ic"],
    build=_model("resnet8"),
    sources={"synthetic": _Source("synthetic", "images"), "cifar10": _Source("cifar10")},
    recipes=_recipes(
        t_recx=Recipe(
            name="t-recx",
            method="t-recx",
            exits=(IC_EXIT,),
            epochs=500,
            batch_size=32,
            learning_rate=1e-3,
            schedule="exponential",
            decay=0.99,
            augmentation="rotate-shift-flip",
        ),
        tower=Recipe(
            name="tower",
            method="distilled",
            exits=(
                _tower_exit(
                    (
                        ("full", 32, 2),
                        ("separable", 64, 2),
                        ("separable", 64, 1),
                        ("separable", 128, 2),
                    )
                ),
            ),
            epochs=40,
            batch_size=64,
            learning_rate=2e-3,
            warmup_epochs=1,
            augmentation="flip-shift",
        ),
        demo=Recipe(
            name="demo",
            method="t-recx",
            exits=(IC_EXIT,),
            epochs=12,
            batch_size=64,
            learning_rate=3e-3,
        ),
    ),
    default_recipe="t-recx",
    quality=QualityTarget("top-1", 0.85),
)

KWS_EXIT = ExitSpec(
    at="block2_relu",
    head="t-recx",
    options={"channels": 32, "project": False, "kernel": 3, "stride": 2, "pool": 2},
    loss_weight=0.3,
    assist="early-view",
    assist_options={"stride": 1, "pool": (13, 3)},
)
KWS = Task(
    name="kws",
    title="keyword spotting (Speech Commands, DS-CNN)",
    input_shape=(49, 10, 1),
    # Silence gives a first coefficient of ln(1e-6) sqrt(80) = -123.6; speech stays below 30.
    input_range=(-124.0, 60.0),
    labels=LABELS["kws"],
    build=_model("ds_cnn"),
    sources={"synthetic": _Source("synthetic", "words"), "speech": _Source("speech_commands")},
    recipes=_recipes(
        t_recx=Recipe(
            name="t-recx",
            method="t-recx",
            exits=(KWS_EXIT,),
            epochs=36,
            batch_size=100,
            learning_rate=5e-4,
            schedule="steps",
            milestones=((12, 0.2), (24, 0.04)),
            augmentation="noise-shift",
        ),
        tower=Recipe(
            name="tower",
            method="distilled",
            exits=(
                _tower_exit(
                    (("separable", 64, 2), ("separable", 64, 1), ("separable", 64, 2)),
                    loss_weight=0.5,
                    dropout=0.2,
                ),
            ),
            epochs=36,
            batch_size=100,
            learning_rate=3e-3,
            warmup_epochs=2,
            label_smoothing=0.05,
            augmentation="noise-shift-speed",
            method_options={"temperature": 2.0},
        ),
        demo=Recipe(
            name="demo",
            method="t-recx",
            exits=(KWS_EXIT,),
            epochs=15,
            batch_size=50,
            learning_rate=3e-3,
        ),
    ),
    default_recipe="t-recx",
    quality=QualityTarget("top-1", 0.90),
)

VWW_EXIT = ExitSpec(
    at="block3_relu",
    head="t-recx",
    options={"channels": 64, "kernel": 2, "stride": 2, "pool": 4},
    loss_weight=0.4,
    assist="early-view",
    assist_options={"stride": 1, "padding": "valid", "keep": 32},
)
VWW = Task(
    name="vww",
    title="visual wake words (MobileNetV1 x0.25)",
    input_shape=(96, 96, 3),
    input_range=(0.0, 1.0),
    labels=LABELS["vww"],
    build=_model("mobilenet_v1"),
    sources={
        "synthetic": _Source("synthetic", "people"),
        "vww": _Source("visual_wake_words"),
    },
    recipes=_recipes(
        t_recx=Recipe(
            name="t-recx",
            method="t-recx",
            exits=(VWW_EXIT,),
            epochs=50,
            batch_size=32,
            learning_rate=1e-3,
            schedule="steps",
            milestones=((20, 0.5), (30, 0.25)),
            augmentation="rotate-shift-zoom-flip",
        ),
        tower=Recipe(
            name="tower",
            method="distilled",
            exits=(
                _tower_exit(
                    (
                        ("separable", 16, 2),
                        ("separable", 32, 2),
                        ("separable", 64, 1),
                        ("separable", 128, 2),
                    )
                ),
            ),
            epochs=50,
            batch_size=32,
            learning_rate=1e-3,
            warmup_epochs=1,
            augmentation="rotate-shift-zoom-flip",
        ),
        demo=Recipe(
            name="demo",
            method="t-recx",
            exits=(VWW_EXIT,),
            epochs=10,
            batch_size=32,
            learning_rate=2e-3,
        ),
        others=(
            Recipe(
                name="fine-tuned",
                method="fine-tuned",
                exits=(
                    ExitSpec(
                        at="block5_relu",
                        head="tower",
                        options={"blocks": (("separable", 64, 2), ("separable", 128, 1))},
                        loss_weight=1.0,
                    ),
                ),
                epochs=20,
                batch_size=32,
                learning_rate=3e-3,
                warmup_epochs=1,
                augmentation="crop-flip-colour-mix",
                method_options={"base_rate": 0.03},
            ),
        ),
    ),
    default_recipe="t-recx",
    quality=QualityTarget("top-1", 0.80),
)

AD_BASE = Recipe(
    name="base",
    method="autoencoder",
    epochs=100,
    batch_size=512,
    learning_rate=1e-3,
    schedule="constant",
)
AD = Task(
    name="ad",
    title="anomaly detection (dense autoencoder)",
    input_shape=(640,),
    input_range=(-15.0, 15.0),
    labels=LABELS["ad"],
    build=lambda _classes: _model("autoencoder")(640),
    sources={"synthetic": _Source("synthetic", "machines")},
    recipes={
        "base": AD_BASE,
        "demo": dataclasses.replace(AD_BASE, name="demo", epochs=30, batch_size=128),
    },
    default_recipe="base",
    quality=QualityTarget("auc", 0.85),
    kind="anomaly",
)

TASKS = {task.name: task for task in (IC, KWS, VWW, AD)}
