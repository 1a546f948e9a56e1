"""The one place where exceptions become output and an exit code."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from typing import NoReturn

from nbci.cli.arguments import hint_lines, print_error
from nbci.cli.terminal_columns import terminal_columns
from nbci.errors import ExitCode, NbciError
from nbci.home import ensure_home

_DEFAULT_COLUMNS = 80


class NbciUsage(NbciError):
    """The command line itself is wrong."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message, hint=usage)


class _Parser(argparse.ArgumentParser):
    """A parser that raises NbciUsage where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise NbciUsage(message, self.format_usage().strip())


class _Help(argparse.HelpFormatter):
    """A help formatter as wide as the terminal.

    argparse makes one for each argument, and would import shutil to ask for the width.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=(terminal_columns() or _DEFAULT_COLUMNS) - 2)


def call(command: str, argv: list[str]) -> int:
    """Run a subcommand, and print an error that it raises; returns the exit code."""
    # Plans and records live to the end and hold no cycles: with Python's own thresholds the
    # collector takes two fifths of the time of a plan.
    gc.set_threshold(100_000, 20, 100)
    try:
        ensure_home(os.environ)
        return _run(command, argv)
    except NbciError as error:
        print_error(f"nbci: error: {error}")
        if error.hint:
            print_error("\n".join(hint_lines(error.hint)))
        return error.exit_code
    except KeyboardInterrupt:
        print_error("nbci: interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away, as `head` does: nothing is wrong with the work.
        # Without this, Python would fail once more when it flushes stdout at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.SUCCESS
    except Exception as error:  # noqa: BLE001 - a bug of ours, and reported as one
        return _report_bug(command, argv, error)


def _run(command: str, argv: list[str]) -> int:
    module = importlib.import_module(f"nbci.cli.{command}")
    # A word in the place of the first argument may be a command of its own, as in `sweep show`.
    action = getattr(module, "ACTIONS", {}).get(argv[0] if argv else "")
    if action is not None:
        command, argv = f"{command} {argv[0]}", argv[1:]
        module = importlib.import_module(f"nbci.cli.{action}")
    # The module's first paragraph is the command's help; the table has the short form of it.
    description = (module.__doc__ or "").split("\n\n")[0]
    parser = _Parser(prog=f"nbci {command}", description=description, formatter_class=_Help)
    module.add_arguments(parser)
    code = module.main(parser.parse_args(_with_joined_sort(argv)))
    # Flushed here, where a broken pipe is still caught.
    sys.stdout.flush()
    return int(code)


def _with_joined_sort(argv: list[str]) -> list[str]:
    """The arguments with `--sort -accuracy` as one: argparse would take the value for an option."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--sort":
            joined[-1] = f"--sort={word}"
        else:
            joined.append(word)
    return joined


def _report_bug(command: str, argv: list[str], error: BaseException) -> int:
    """Write a log file to attach to a bug report, and print where it is."""
    import platform
    import tempfile
    import traceback

    import nbci

    log = "\n".join(
        (
            f"nbci {nbci.__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: nbci {command} {' '.join(argv)}",
            "",
            "".join(traceback.format_exception(error)),
        )
    )
    # errors="replace": the traceback may quote lone surrogates, which no file can hold.
    # Kept, and outside the project: the bug may be that the project cannot be written.
    with tempfile.NamedTemporaryFile(
        "w", prefix="nbci-bug-", suffix=".txt", delete=False, errors="replace"
    ) as file:
        file.write(log)
    print_error(f"nbci: this is a bug in nbci: {type(error).__name__}: {error}")
    print_error(f"  → a log to attach to a report is in {file.name}")
    return ExitCode.BUG
