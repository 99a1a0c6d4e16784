"""Early exits: graft them onto Keras models, train them. Keras is imported on first use."""

import importlib

from trecx.errors import ToolMissingError
from trecx.quiet import quiet_stderr

_HOME = {
    "EarlyExitModel": "graft",
    "Progress": "logs",
    "TrainedModel": "trained",
    "add_exit": "graft",
    "add_exits": "graft",
    "load_classifier": "user_model",
    "load_network": "user_model",
    "load_trained": "trained",
    "predict": "trained",
    "train": "training",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        with quiet_stderr():
            module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("trecx"):
            raise
        raise ToolMissingError(
            f"Keras models need Keras and its backend ({error}): pip install 'trecx[train]'"
        ) from None
    return getattr(module, name)
