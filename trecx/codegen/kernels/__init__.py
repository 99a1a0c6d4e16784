"""Kernel schemes, one module an operator and instruction set: {ref,dsp,mve}_<operator>.py.

Importing this package imports every such module, so that each registers its schemes. A new
module is found by its name; nothing else needs to be edited.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    if _module.name.startswith(("ref_", "dsp_", "mve_")):
        importlib.import_module(f"{__name__}.{_module.name}")
