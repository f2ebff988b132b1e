"""`python -m equivlib`: see :mod:`equivlib.cli`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
