"""``python -m ssr_local`` is the command ``ssr-local``."""

from ssr_local.cli import main

if __name__ == "__main__":
    main()
