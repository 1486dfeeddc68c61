"""Makes ``import middleware`` and ``import querylift`` give the same modules.

The name under which the package is imported first is the canonical one: its modules carry that
name. ``share_modules`` lets the other name lead to the same module objects. A user's own module
``middleware`` is never replaced.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__ = ["share_modules"]

_FOLDER, _DISTRIBUTION = "middleware", "querylift"


def share_modules(canonical: str) -> None:
    """Let the package's other name give the modules of ``canonical``, the name it was loaded by."""
    known = any(isinstance(finder, _AliasFinder) for finder in sys.meta_path)  # after a reload
    if canonical in (_FOLDER, _DISTRIBUTION) and not known:
        other = _FOLDER if canonical == _DISTRIBUTION else _DISTRIBUTION
        sys.meta_path.insert(0, _AliasFinder(other, canonical))


class _AliasFinder(MetaPathFinder):
    """Finds ``alias`` and the modules below it by loading those of ``canonical``."""

    def __init__(self, alias: str, canonical: str) -> None:
        self._alias = alias
        self._canonical = canonical

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec that leads to the canonical module, or None for any other name."""
        top, dot, rest = name.partition(".")
        canonical = sys.modules.get(self._canonical)
        if top != self._alias or canonical is None or rest == "__main__":
            return None
        if not dot and self._alias == _FOLDER and not _is_ours(PathFinder.find_spec(name)):
            return None
        if dot and sys.modules.get(top) is not canonical:
            return None
        loader = _AliasLoader(self._canonical + dot + rest)
        return ModuleSpec(name, loader, origin=canonical.__file__, is_package=not dot)


class _AliasLoader(Loader):
    """Enters the canonical module under another name; the module and its spec stay as they are."""

    def __init__(self, canonical: str) -> None:
        self._canonical = canonical

    def exec_module(self, module: ModuleType) -> None:
        """Replace the new, empty module in ``sys.modules`` by the canonical one."""
        sys.modules[module.__name__] = import_module(self._canonical)


def _is_ours(spec: ModuleSpec | None) -> bool:
    """Return whether a spec is that of this package, here or in another checkout."""
    folders = spec.submodule_search_locations if spec is not None else None
    own = os.path.join("shim", "__init__.py")
    return any(os.path.isfile(os.path.join(folder, own)) for folder in folders or ())
