"""Put trained and exported networks into the zoo: cards, bundles, runs.

    python tools/make_zoo.py kws-tower --run runs/kws-tower --bundle kws-tower.bundle

The run comes from `trecx train`, the bundle from `trecx export`, both with the commands that stand
on the card; every figure is read from the bundle. What only people know of a model, its title, data
and limits, stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from mlperf_tiny.zoo import Figure, ModelCard, add_model
from trecx.bundle import Bundle, read_bundle

WEIGHTS_LICENCE = "Apache-2.0"
FEW_SAMPLES = 200  # So few that figures without their intervals would mislead.


@dataclass(frozen=True)
class About:
    """The texts of a card.

    options: of the commands, after the data's folder. start: of the training, where it starts
    from a given network; no other one is then trained beside it.
    """

    title: str
    task: str
    epochs: int
    data_description: str
    data_licence: str
    notes: str
    data: str = ""
    options: str = ""
    start: str = ""

    def commands(self, name: str) -> tuple[str, ...]:
        data = f" --data {self.data}{self.options}" if self.data else ""
        export = f"trecx export runs/{name}{{base}}{data} --max-accuracy-loss 1 -o {name}.bundle"
        if self.start:
            training = f"trecx train {self.task} {self.start} --epochs {self.epochs}{data}"
            return f"{training} -o runs/{name}", export.format(base="")
        trainings = (
            f"trecx train {self.task} --recipe {recipe} --epochs {self.epochs}{data} -o runs/{run}"
            for recipe, run in (("tower-base", f"{name}-base"), ("tower", name))
        )
        return (*trainings, export.format(base=f" --base runs/{name}-base"))


_DIGITS = (
    "Free Spoken Digit Dataset: 3,000 recordings of ten words by six speakers, resampled from 8 to "
    "16 kHz and padded to a second, in the folder layout of Speech Commands, with the class silence"
)
_DIGITS_LICENCE = "CC BY-SA 4.0"

MODELS = {
    "ic-tower": About(
        title="ResNet-8 with a tower exit, CIFAR-10 classes",
        task="ic",
        epochs=24,
        data="cifar-10-batches-bin",
        options=' --data-option "name=CIFAR-10, JPEG copy"',
        data_description="All images of CIFAR-10, re-encoded as JPEG (quality 75, 4:2:0 chroma), "
        "which is harder than the original. 45,000 of the training images for training, 5,000 for "
        "calibration; the 10,000 test images for the figures.",
        data_licence="research use (Krizhevsky, 2009)",
        notes="Trained on JPEG copies of 32 x 32 images: its accuracy is not comparable with "
        "published figures of CIFAR-10.",
    ),
    "kws-tower": About(
        title="DS-CNN with a tower exit, spoken digits",
        task="kws",
        epochs=50,
        data="speech_commands",
        options=' --data-option "name=spoken digits"',
        data_description=f"{_DIGITS}. Takes 5-9 of each speaker and word for calibration, 0-4 for "
        "the figures, all others for training: the speakers of the test split are heard in "
        "training.",
        data_licence=_DIGITS_LICENCE,
        notes="Ten English digits and silence, six speakers, clean recordings: expect far less of "
        "other voices; see kws-speakers-tower.",
    ),
    "kws-speakers-tower": About(
        title="DS-CNN with a tower exit, spoken digits of unheard speakers",
        task="kws",
        epochs=50,
        data="speech_commands",
        options=" --data-option calibration_speakers=jackson --data-option test_speakers=nicolas"
        ' --data-option "name=spoken digits, speakers held out"',
        data_description=f"{_DIGITS}. Speaker jackson for calibration, nicolas for the figures, "
        "the other four for training.",
        data_licence=_DIGITS_LICENCE,
        notes="Four voices are few to learn from: the figures say what is left on a voice that was "
        "never heard.",
    ),
    "vww-exit": About(
        title="MobileNetV1 x0.25 with an exit after its fifth block, person or no person",
        task="vww",
        epochs=60,
        start="--recipe fine-tuned --model vww_96.h5 --at activation_10",
        data="coco-person-256/train",
        options=" --data-option test_path=coco-person-256/val --data-option large_side=256"
        " --data-option calibration_of_test=0.5 --data-option views=8"
        ' --data-option "name=COCO person, 231 images"',
        data_description="231 images of COCO 2017, their longer side 256 pixels, in the layout of "
        "Visual Wake Words; person: a person's box covers more than 2.5 % of the image. The 113 of "
        "train2017 for training, without their labels: the network as MLCommons Tiny gives it "
        "(vww_96.h5) said what random crops of them show. The 118 of val2017, one half for "
        "calibration, the other for the figures.",
        data_licence="images: terms of Flickr; labels CC BY 4.0",
        notes="Derived from the pre-trained MobileNetV1 of MLCommons Tiny (Apache-2.0), which was "
        "trained on Visual Wake Words: its convolutions are fine-tuned, its batch "
        "normalisation is as it was, and it has learnt nothing new but to stop early. The exit has "
        "seen 113 photographs: expect less of it on other cameras, and calibrate it on images of "
        "your own. So few test images tell accuracies to within several points only.",
    ),
}


def figures(bundle: Bundle) -> list[Figure]:
    """Of the int8 network on the test split, as the export measured them."""
    test = bundle.manifest["test"]
    show = _with_interval if test["samples"] < FEW_SAMPLES else _figure
    *exits, full = test["segment_accuracy"]
    found = [Figure("test samples", test["samples"])]
    if test["base_accuracy"] is not None:
        found.append(show("top-1 accuracy, base network alone, int8", test["base_accuracy"]))
    for k, (accuracy, macs) in enumerate(zip(exits, test["path_costs"], strict=False), 1):
        share = _percent(macs / test["reference_cost"])
        found += [
            show(f"top-1 accuracy, exit {k}, int8", accuracy),
            Figure(f"MACs of exit {k} against the base network", share, "%"),
        ]
    return [
        *found,
        show("top-1 accuracy, full depth, int8", full),
        show("top-1 accuracy with early exit, int8", test["accuracy"]),
        show("exit rate", test["exit_rates"][0]),
        show("MACs saved against the base network", test["reduction"]),
    ]


def _figure(what: str, estimate: dict) -> Figure:
    return Figure(what, _percent(estimate["value"]), "%")


def _with_interval(what: str, estimate: dict) -> Figure:
    low, high = (f"{_percent(estimate[end]):.1f}" for end in ("low", "high"))
    return Figure(what, _percent(estimate["value"]), f"% (95 % interval: {low} to {high})")


def _percent(fraction: float) -> float:
    return round(100 * fraction, 2)


def make(name: str, run: Path, bundle: Path) -> ModelCard:
    """Write an entry of the zoo. Raises BundleError when run and bundle do not fit together."""
    about = MODELS[name]
    return add_model(
        name,
        run=run,
        bundle=bundle,
        title=about.title,
        data_description=about.data_description,
        data_licence=about.data_licence,
        figures=figures(read_bundle(bundle)),
        commands=about.commands(name),
        licence=WEIGHTS_LICENCE,
        notes=about.notes,
    )


_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("name", type=click.Choice(sorted(MODELS)))
@click.option("--run", type=_FOLDER, required=True)
@click.option("--bundle", type=_FOLDER, required=True)
def main(name: str, run: Path, bundle: Path) -> None:
    """Write one entry of the zoo."""
    click.echo(make(name, run, bundle).to_markdown())


if __name__ == "__main__":
    main()
