"""Keep the remarks of noisy libraries away from the user's terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Discard what is written to standard error, from Python and from C++, inside the block.

    TensorFlow's first messages come from C++ before any log level is read, so only the file
    descriptor can silence them.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def load_keras():
    """The module keras, imported without its backend's remarks, which stay off afterwards."""
    with quiet_stderr():
        import keras
    # Every network that is trained in one process is news to TensorFlow.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras
