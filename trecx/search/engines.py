"""Where trials run: in this process, in several processes, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from trecx.errors import InputError, ToolMissingError

Job = TypeVar("Job")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs independent jobs. `function` and jobs must be picklable: module-level, plain data."""

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
        """The results, as they come. An exception of `function` is raised here and ends the run;
        jobs that have not begun are dropped."""
        ...


class SerialEngine:
    """One after the other, here."""

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
        return map(function, jobs)


class ProcessEngine:
    """`workers` fresh processes on this machine, each with its share of the cores."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise InputError(f"at least one worker is needed, got {workers}")
        self.workers = workers

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
        from concurrent.futures import ProcessPoolExecutor, as_completed

        # Fresh processes: a fork of one that has threads (TensorFlow's) can hang.
        pool = ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_worker,
            initargs=(max(1, (os.cpu_count() or 1) // self.workers),),
        )
        try:
            for future in as_completed([pool.submit(function, job) for job in jobs]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


class DaskEngine:
    """A Dask cluster: `address` of a running scheduler, or `workers` processes on this machine.

    The workers need trecx, and the data at the same path.
    """

    def __init__(self, address: str | None = None, workers: int = 2) -> None:
        self.address = address
        self.workers = workers

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
        try:
            from distributed import Client, LocalCluster, as_completed
        except ImportError as error:
            raise ToolMissingError(
                "a search on a Dask cluster needs the package distributed: pip install distributed"
            ) from error
        from contextlib import ExitStack

        with ExitStack() as stack:
            address = self.address
            if address is None:
                address = stack.enter_context(
                    LocalCluster(
                        n_workers=self.workers, threads_per_worker=1, dashboard_address=None
                    )
                )
            try:
                client = stack.enter_context(Client(address))
            except OSError as error:
                raise InputError(f"no Dask scheduler answers at {address}: {error}") from error
            # Trials are not pure: the same job may be asked for again after a failure.
            futures = client.map(function, list(jobs), pure=False)
            for future in as_completed(futures):
                yield future.result()


def _begin_worker(threads: int) -> None:
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed tells its workers nothing: they would train on and then wait."""
    multiprocessing.parent_process().join()
    os._exit(1)
