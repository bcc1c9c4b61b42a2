"""The program `ivrctl`. See docs/cli.md."""

import sys

from ivrctl.program import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
