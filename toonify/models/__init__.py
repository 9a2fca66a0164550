"""The networks.

A module of this package that defines ARCHITECTURE holds a generator. By the module's name cards and methods know it.
"""

import importlib
import pkgutil

from toonify.models.architecture import Architecture

_MODULES = {found.name: importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)}
ARCHITECTURES: dict[str, Architecture] = {
    name: module.ARCHITECTURE for name, module in _MODULES.items() if hasattr(module, "ARCHITECTURE")
}

__all__ = ["ARCHITECTURES", "Architecture"]
