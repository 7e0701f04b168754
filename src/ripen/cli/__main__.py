"""`python -m ripen.cli`."""

import sys

from ripen.cli import main

# The registry of commands imports this module too.
if __name__ == "__main__":
    sys.exit(main())
