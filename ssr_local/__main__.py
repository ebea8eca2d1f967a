"""``python -m ssr_local`` is the command ``ssr-local``."""

import sys

# Python looks into the current folder first under -m: a file there that is named like a
# module of ours or of Python's must not take its place.
if not getattr(sys.flags, "safe_path", False):
    sys.path.append(sys.path.pop(0))

from ssr_local.cli import main

if __name__ == "__main__":
    main()
