"""`python -m eventrouter`: the same as the command `eventrouter`."""

import sys

from eventrouter.cli import main

if __name__ == "__main__":
    sys.exit(main())
