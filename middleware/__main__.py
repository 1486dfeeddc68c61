"""``python -m querylift`` runs the command ``querylift``."""

from __future__ import annotations

import os
import sys


def _leave_current_folder() -> None:
    """Take the current folder off the path, unless the package is in it.

    Python puts it there for ``-m``. A file in it that is called like a module of Python's own would
    be run in place of that module.
    """
    here = os.getcwd()
    if not sys.flags.safe_path and sys.path[:1] in ([""], [here]):
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if os.path.realpath(package) != os.path.realpath(here):
            del sys.path[0]


if __name__ == "__main__":
    _leave_current_folder()
    from .cli import main

    sys.exit(main())
