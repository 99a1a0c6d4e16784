"""The batches of an epoch, prepared while the network trains on those before them."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from trecx.task import Recipe, Samples

T = TypeVar("T")


class EpochBatches:
    """The shuffled, augmented batches of one epoch; the last incomplete batch is left out.

    Order and augmentation depend on (seed, epoch, batch) alone, so that a resumed run sees what
    an uninterrupted one does, in whatever order the batches are asked for. With the recipe's
    `class_balance` some samples of rare classes come more than once, and some of others not at all.
    """

    def __init__(self, samples: Samples, recipe: Recipe, seed: int, epoch: int):
        self.samples = samples
        self.batch_size = recipe.batch_size
        self.augmentation = recipe.augmentation
        self.key = (seed, epoch)
        rng = np.random.default_rng(self.key)
        if recipe.class_balance:
            self.order = rng.permutation(balanced(samples.labels, recipe.class_balance, rng))
        else:
            self.order = rng.permutation(len(samples))

    def __len__(self) -> int:
        return len(self.samples) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs, float32 (batch_size, ...), and labels, int32 (batch_size,)."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng((*self.key, index))
        inputs = self.samples.augmented(chosen, rng, self.augmentation)
        return inputs, self.samples.labels[chosen].astype(np.int32)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return read_ahead(self.__getitem__, len(self))


def balanced(labels: np.ndarray, balance: float, rng: np.random.Generator) -> np.ndarray:
    """As many positions in `labels` as it has, int64, the classes nearer to equal shares.

    A class's share is (1 - balance) of its own and `balance` of an equal one, rounded. Within a
    class no sample comes a second time before all have come once.
    """
    classes, counts = np.unique(labels, return_counts=True)
    total = len(labels)
    ends = np.cumsum((1 - balance) * counts + balance * total / len(classes))
    wanted = np.diff(np.rint(ends).astype(int), prepend=0)
    drawn = []
    for label, count, number in zip(classes, counts, wanted, strict=True):
        members = np.flatnonzero(labels == label)
        rounds = [rng.permutation(members) for _ in range(-(-number // count))]
        drawn.append(np.concatenate(rounds)[:number] if rounds else members[:0])
    return np.concatenate(drawn)


def read_ahead(read: Callable[[int], T], count: int, ahead: int = 2) -> Iterator[T]:
    """read(0), read(1), ... read(count - 1) in this order, computed by one other thread.

    It stays at most `ahead` results before the reader, so that memory is bounded. What `read`
    raises is raised here, in its place. The thread ends with the iterator, however that ends.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="trecx-batches") as thread:
        waiting = deque(thread.submit(read, n) for n in range(min(ahead, count)))
        try:
            for n in range(count):
                result = waiting.popleft().result()
                if n + ahead < count:
                    waiting.append(thread.submit(read, n + ahead))
                yield result
        finally:
            for future in waiting:
                future.cancel()
