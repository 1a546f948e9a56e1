"""The command `nbci`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the answer is the exit code."""
    from nbci.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
