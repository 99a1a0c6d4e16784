"""Early-exit methods: how a network with exits is trained, and when it stops at one.

A method is one module and one row in `METHODS`. See `trecx.exits.methods.method.Method`.
"""

from trecx.errors import InputError
from trecx.exits.methods.autoencoder import Autoencoder
from trecx.exits.methods.base import Base
from trecx.exits.methods.branchynet import BranchyNet
from trecx.exits.methods.distilled import Distilled
from trecx.exits.methods.eenet import EENet
from trecx.exits.methods.fine_tuned import FineTuned
from trecx.exits.methods.method import Method
from trecx.exits.methods.pteenet import PTEENet
from trecx.exits.methods.sdn import ShallowDeep
from trecx.exits.methods.t_recx import TRecx
from trecx.task import Recipe
from trecx.typed import nearest, require_options

METHODS: dict[str, type[Method]] = {
    "base": Base,
    "autoencoder": Autoencoder,
    "t-recx": TRecx,
    "eenet": EENet,
    "pteenet": PTEENet,
    "branchynet": BranchyNet,
    "sdn": ShallowDeep,
    "distilled": Distilled,
    "fine-tuned": FineTuned,
}


def make_method(recipe: Recipe) -> Method:
    """The method of a recipe. Raises `InputError` for an unknown name or unknown options."""
    if recipe.method not in METHODS:
        raise InputError(f"unknown method {recipe.method!r}; {nearest(recipe.method, METHODS)}")
    require_options(f"method {recipe.method!r}", METHODS[recipe.method], recipe.method_options)
    return METHODS[recipe.method](**recipe.method_options)
