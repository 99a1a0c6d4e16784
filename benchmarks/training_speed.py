"""Images a second of trecx's training loop against a plain model.fit of the same network.

    python -m benchmarks.training_speed [--task ic] [--recipe t-recx] [--samples 6400] [--assist]

Both train the network with its early exit, in the recipe's batch size, on the same samples. trecx
shuffles and augments every epoch anew and trains by the method's loss; the plain fit gets float32
arrays from memory and Keras's own losses. The two take turns; the ratio of the medians is printed,
of elapsed time and of processor time: augmentation runs beside the step, so the first needs a
processor that has a core to spare.

--assist measures instead what early-view assistance adds to a step: recipe t-recx while the view
computes with the exit's filters, and with a view of its own filters (what the layers themselves
cost), against t-recx-no-ev; beside the MACs that it adds.
"""

import argparse
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="ic")
    parser.add_argument("--recipe", help="default: the task's")
    parser.add_argument("--samples", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--assist", action="store_true", help="the cost of early-view assistance")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.assist:
        result = measure_assist(options.task, options.samples, options.rounds)
        text = (
            f"{options.task}: a step with early-view assistance takes {result['tied']:.3f} of the "
            f"processor time without, {result['free']:.3f} once the view has its own filters; "
            f"it has {result['macs']:.3f} of the MACs"
        )
    else:
        result = measure(options.task, options.recipe, options.samples, options.rounds)
        text = (
            f"{options.task} {result['recipe']}, batch {result['batch_size']}: "
            f"trecx {result['trecx']:.0f} images/s, plain fit {result['plain']:.0f} images/s, "
            f"ratio {result['ratio']:.2f} (of processor time {result['processor_ratio']:.2f})"
        )
    print(json.dumps(result) if options.json else text)


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Median seconds of a round: elapsed, and of all threads of this process together."""

    elapsed: float
    processor: float


def measure(task_name: str, recipe_name: str | None, samples: int, rounds: int) -> dict:
    """Median images a second of both, after one round that is not counted."""
    from trecx.task import find_task

    task = find_task(task_name)
    recipe = task.recipe(recipe_name)
    data = task.load_data(train=samples, calibration=100, test=100)
    times = take_turns(
        {"trecx": _trecx(task, recipe, data), "plain": _plain(task, recipe, data)}, rounds
    )
    return {
        "recipe": recipe.name,
        "batch_size": recipe.batch_size,
        **{name: samples / seconds.elapsed for name, seconds in times.items()},
        "ratio": times["plain"].elapsed / times["trecx"].elapsed,
        "processor_ratio": times["plain"].processor / times["trecx"].processor,
    }


def measure_assist(task_name: str, samples: int, rounds: int) -> dict:
    """What a step costs with early-view assistance, as a share of one without."""
    from trecx.exits.cost import segment_macs
    from trecx.task import find_task

    task = find_task(task_name)
    data = task.load_data(train=samples, calibration=100, test=100)
    assisted, blind = (
        dataclasses.replace(task.recipe(name), augmentation="none")
        for name in ("t-recx", "t-recx-no-ev")
    )
    models = {
        "tied": _joint(task, assisted, data),
        "free": _joint(task, assisted, data, plain=True),
        "none": _joint(task, blind, data),
    }
    times = take_turns({name: epoch for name, (_, epoch) in models.items()}, rounds)
    macs = {name: sum(segment_macs(model)) for name, (model, _) in models.items()}
    return {
        "tied": times["tied"].processor / times["none"].processor,
        "free": times["free"].processor / times["none"].processor,
        "macs": macs["tied"] / macs["none"],
    }


def take_turns(runs: dict[str, Callable[[int], None]], rounds: int) -> dict[str, Seconds]:
    """Median times of one round of each, after one round that is not counted."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started, used = time.perf_counter(), time.process_time()
            run(number)
            taken = time.perf_counter() - started, time.process_time() - used
            if number:
                seconds[name].append(taken)
    return {
        name: Seconds(*(statistics.median(column) for column in zip(*rows, strict=True)))
        for name, rows in seconds.items()
    }


def _trecx(task, recipe, data):
    return _joint(task, recipe, data)[1]


def _joint(task, recipe, data, *, plain: bool = False):
    """The network as trecx trains it, and one epoch of it as a function of its number.

    plain: with standard layers only, so that an early view has filters of its own.
    """
    from trecx.exits.batches import EpochBatches
    from trecx.exits.joint import joint_model
    from trecx.exits.logs import EpochLog
    from trecx.exits.methods import make_method
    from trecx.exits.training import train_on_batches

    method = make_method(recipe)
    network = method.graft(task.build(len(data.labels)), recipe.exits)
    if plain:
        network = dataclasses.replace(network, model=network.plain())
    model = joint_model(network, method, recipe, len(data.labels))
    log = EpochLog(recipe, len(data.train) // recipe.batch_size, 0, None)

    def epoch(number: int) -> None:
        log.begin(number)
        train_on_batches(model, EpochBatches(data.train, recipe, 0, number), log)

    return model, epoch


def _plain(task, recipe, data):
    import keras

    from trecx.exits.graft import add_exits, plain_copy

    network = task.build(len(data.labels))
    if recipe.exits:
        network = plain_copy(add_exits(network, recipe.exits).model)
    losses = ["sparse_categorical_crossentropy"] * len(network.outputs)
    network.compile(
        keras.optimizers.Adam(recipe.learning_rate),
        losses,
        loss_weights=[*(spec.loss_weight for spec in recipe.exits), 1.0],
        metrics=[["accuracy"]] * len(losses),
        jit_compile=False,
    )
    inputs, labels = data.train.inputs(slice(None)), data.train.labels

    def epoch(number: int) -> None:
        targets = [labels] * len(losses) if len(losses) > 1 else labels
        network.fit(inputs, targets, batch_size=recipe.batch_size, verbose=0)

    return epoch


if __name__ == "__main__":
    main()
