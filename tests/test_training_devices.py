"""Training on several devices: two virtual ones on the CPU, in a process of its own."""

import subprocess
import sys

import pytest

from tests.support import tiny_task
from trecx.errors import TrainingError
from trecx.exits import load_trained, train

TWO_DEVICES = """
import sys
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
devices = [f"CPU:{n}" for n in range(2)]
mirrored = tf.distribute.MirroredStrategy
tf.distribute.MirroredStrategy = lambda: mirrored(devices)

import dataclasses
from tests.support import tiny_task
from trecx.exits import train

recipe = dataclasses.replace(tiny_task.RECIPE, epochs=12)
train(
    tiny_task.TASK, recipe, tiny_task.load(train=256), sys.argv[1],
    base=tiny_task.build(), all_devices=True,
)
"""


def test_it_learns_on_two_devices(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    trained = load_trained(tmp_path)
    last = trained.history[-1]
    assert last["calibration_exit1_accuracy"] > 0.8
    assert last["calibration_final_accuracy"] > 0.8
    # A loss counted once for each device would be twice as large.
    assert last["loss"] < 2.0
    with pytest.raises(TrainingError, match="devices was 2, now 1"):
        train(
            tiny_task.TASK,
            trained.recipe,
            tiny_task.load(train=256),
            tmp_path,
            base=tiny_task.build(),
            resume=True,
        )
