"""The command `nbci`."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys

_INTERRUPTED = 130


def main() -> int:
    """Run the command line; the answer is the exit code."""
    from nbci.cli.main import run

    code = run(sys.argv[1:])
    alone = "threading" not in sys.modules or sys.modules["threading"].active_count() == 1
    is_watched = sys.gettrace() is not None or sys.getprofile() is not None  # by what has to write down what it saw
    if (alone or code == _INTERRUPTED) and not is_watched:  # threads that talk with a dead remote are not waited for
        _leave(code)
    return code


def _leave(code: int) -> None:
    """End at once, with nothing left undone: taking all objects apart would take as long as a small command."""
    atexit._run_exitfuncs()  # noqa: SLF001 - what Python does first when it ends; there is no other name for it
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
