"""`python -m context_core.cli`, the same as `context-core`."""

import sys

from context_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
