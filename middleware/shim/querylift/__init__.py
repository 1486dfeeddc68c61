"""Loads the package in the folder ``middleware`` under the name ``querylift``.

An installation has this file as ``querylift/__init__.py``. Several modules ``middleware`` may be
on the path, one of them a user's own: the first that has this package's files is taken.
"""

from __future__ import annotations


def _become_the_package() -> None:
    """Give this module the code, the path and the spec of the package."""
    import os
    import sys
    from importlib.machinery import PathFinder, SourceFileLoader

    found = (PathFinder.find_spec("middleware", [entry]) for entry in sys.path)
    folders = [
        folder for spec in found for folder in (spec and spec.submodule_search_locations) or ()
    ]
    marker = os.path.join("shim", "__init__.py")
    folder = next((f for f in folders if os.path.isfile(os.path.join(f, marker))), None)
    if folder is None:
        raise ImportError("the files of querylift are missing: install it again", name=__name__)
    module, file = sys.modules[__name__], os.path.join(folder, "__init__.py")
    loader, spec = SourceFileLoader(__name__, file), module.__spec__
    assert spec is not None
    spec.loader, spec.origin, spec.submodule_search_locations = loader, file, [folder]
    spec.cached = None  # computed again from the origin
    module.__loader__, module.__file__, module.__path__ = loader, file, [folder]
    module.__cached__ = spec.cached
    loader.exec_module(module)


_become_the_package()
del _become_the_package
