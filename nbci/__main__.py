"""The command `nbci`."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys


def main() -> int:
    """Run the command line; the answer is the exit code."""
    _open_what_was_closed()
    from nbci.cli.main import run

    code = run(sys.argv[1:])
    alone = "threading" not in sys.modules or sys.modules["threading"].active_count() == 1
    is_watched = (
        sys.gettrace() is not None or sys.getprofile() is not None
    )  # by what has to write down what it saw
    if (alone or _is_interrupted(code)) and not is_watched:
        _leave(code)
    return code


def _open_what_was_closed() -> None:
    """Give standard streams that were closed a place, or the next file to be opened would be taken
    for them.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere > number and not _is_open(number):
            os.dup2(nowhere, number)
            os.close(nowhere)
            nowhere = number
        os.set_inheritable(nowhere, True)
        stream = open(  # noqa: SIM115 - it stays open as long as the process lives
            nowhere, mode, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        setattr(sys, name, stream)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _is_interrupted(code: int) -> bool:
    """Then threads that talk with a remote that answers no more are not waited for."""
    from nbci.errors import ExitCode

    return code == ExitCode.INTERRUPTED


def _leave(code: int) -> None:
    """End at once, with nothing left undone: taking all objects apart would take as long as a small
    command.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what Python does first when it ends; there is no other name for it
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
