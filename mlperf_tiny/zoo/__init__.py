"""Trained early-exit models that come with the package.

    models/<name>/card.json   the model card: data, recipe, seed, figures, commands
    models/<name>/card.md     the same for people; made from card.json
    models/<name>/bundle/     the exported int8 bundle
    models/<name>/run/        the float network and its training record

All of it is below `SIZE_LIMIT`; `check_zoo` holds every entry to this description.
"""

from mlperf_tiny.zoo.add import add_model
from mlperf_tiny.zoo.card import Figure, ModelCard
from mlperf_tiny.zoo.catalogue import SIZE_LIMIT, check_zoo, zoo_get, zoo_list

__all__ = [
    "SIZE_LIMIT",
    "Figure",
    "ModelCard",
    "add_model",
    "check_zoo",
    "zoo_get",
    "zoo_list",
]
