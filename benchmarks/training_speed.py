"""Images a second of trecx's training loop against a plain model.fit of the same network.

    python benchmarks/training_speed.py [--task ic] [--recipe t-recx] [--samples 6400]

Both train the network with its early exit, in the recipe's batch size, on the same samples. trecx
shuffles and augments every epoch anew and trains by the method's loss; the plain fit gets float32
arrays from memory and Keras's own losses. The two take turns; the ratio of the medians is printed.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="ic")
    parser.add_argument("--recipe", help="default: the task's")
    parser.add_argument("--samples", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.task, options.recipe, options.samples, options.rounds)
    if options.json:
        print(json.dumps(result))
    else:
        print(
            f"{options.task} {result['recipe']}, batch {result['batch_size']}: "
            f"trecx {result['trecx']:.0f} images/s, plain fit {result['plain']:.0f} images/s, "
            f"ratio {result['ratio']:.2f}"
        )


def measure(task_name: str, recipe_name: str | None, samples: int, rounds: int) -> dict:
    """Median images a second of both, after one round that is not counted."""
    from trecx.task import find_task

    task = find_task(task_name)
    recipe = task.recipe(recipe_name)
    data = task.load_data(train=samples, calibration=100, test=100)
    runs = {"trecx": _trecx(task, recipe, data), "plain": _plain(task, recipe, data)}
    speeds = {name: [] for name in runs}
    for round_number in range(rounds + 1):
        for name, epoch in runs.items():
            started = time.perf_counter()
            epoch(round_number)
            if round_number:
                speeds[name].append(samples / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return {
        "recipe": recipe.name,
        "batch_size": recipe.batch_size,
        **medians,
        "ratio": medians["trecx"] / medians["plain"],
    }


def _trecx(task, recipe, data):
    from trecx.exits.joint import joint_model
    from trecx.exits.methods import make_method
    from trecx.exits.training import EpochBatches

    method = make_method(recipe)
    network = method.graft(task.build(len(data.labels)), recipe.exits)
    model = joint_model(network, method, recipe, len(data.labels))

    def epoch(number: int) -> None:
        model.fit(EpochBatches(data.train, recipe, 0, number), verbose=0, shuffle=False)

    return epoch


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
