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
    # Other threads may still be writing: Python waits for them at its end, `_leave` does not.
    alone = "threading" not in sys.modules or sys.modules["threading"].active_count() == 1
    # A debugger, a profiler or a measurement of coverage writes its result when Python ends.
    is_watched = sys.gettrace() is not None or sys.getprofile() is not None
    if (alone or _is_interrupted(code)) and not is_watched:
        _leave(code)
    return code


def _open_what_was_closed() -> None:
    """Open standard streams that were closed on the null device.

    Else the next files to be opened would get their numbers and be taken for them.
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
    """Whether the command was interrupted.

    Then nbci does not wait for threads that talk with a remote which no longer answers.
    """
    from nbci.errors import ExitCode

    return code == ExitCode.INTERRUPTED


def _leave(code: int) -> None:
    """End the process at once, after exit handlers have run and output is flushed.

    Python's own way, which takes all objects apart, would take as long as a small command.
    """
    # What Python does first when it ends; there is no public name for it.
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
