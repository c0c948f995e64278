"""File name = name = registration: what stands in a folder is found, nothing is listed twice."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from core.errors import UsageError


def declarations(package: ModuleType, attribute: str) -> dict[str, Any]:
    """Returns what every module of `package` declares as `attribute` (JOB, SOURCE, …), by name, sorted.

    Raises UsageError if a module lacks the declaration or declares another name than its file's.
    """
    found: dict[str, Any] = {}
    for module_info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if module_info.ispkg or module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        declaration = getattr(module, attribute, None)
        where = f"{package.__name__.replace('.', '/')}/{module_info.name}.py"
        if declaration is None:
            raise UsageError(f"no {attribute} is declared", where=where, next_step=f"end the file with {attribute} = …")
        if declaration.name != module_info.name:
            raise UsageError(f"{attribute} is named {declaration.name!r}, its file {module_info.name!r}", where=where)
        found[declaration.name] = declaration
    return found
