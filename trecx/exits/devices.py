"""Data-parallel training on all accelerators of one machine."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

from trecx.errors import InputError


@contextlib.contextmanager
def all_devices() -> Iterator[int]:
    """Within it, networks are built and trained on every device; yields how many there are.

    A batch is shared among them; every device keeps all weights. TensorFlow mirrors variables
    (tf.distribute), JAX shards batches (keras.distribution). Batch normalisation sees the whole
    batch on JAX, each device's part on TensorFlow.

    Raises `InputError` on a backend that has neither.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        strategy = tf.distribute.MirroredStrategy()
        with strategy.scope():
            yield strategy.num_replicas_in_sync
    elif backend == "jax":
        previous = keras.distribution.distribution()
        devices = keras.distribution.list_devices()
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
        try:
            yield len(devices)
        finally:
            keras.distribution.set_distribution(previous)
    else:
        raise InputError(
            f"training on several devices needs the tensorflow or jax backend, not {backend}"
        )


def loss_share() -> float:
    """What a device's mean loss counts for in the sum of gradients over all devices."""
    if keras.backend.backend() != "tensorflow":
        return 1.0  # JAX computes the mean over the whole batch.
    import tensorflow as tf

    return 1.0 / tf.distribute.get_strategy().num_replicas_in_sync


def shared(batch: tuple):
    """A batch, each array divided among the devices where the backend does not do so itself."""
    if keras.backend.backend() != "tensorflow":
        return batch
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    count = strategy.num_replicas_in_sync
    if count == 1:
        return batch

    def part(array):
        parts = np.array_split(array, count)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(parts[context.replica_id_in_sync_group])
        )

    return tuple(part(array) for array in batch)
