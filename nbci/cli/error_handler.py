"""The one place where exceptions become output and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import sys
from typing import NoReturn

from nbci.cli.main import COMMANDS
from nbci.errors import ExitCode, NbciError
from nbci.home import ensure_home


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise NbciUsage(f"{message}", self.format_usage().strip())


class NbciUsage(NbciError):
    """The command line itself is wrong."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message, hint=usage)


class _Help(argparse.HelpFormatter):
    """As wide as the terminal.

    argparse makes one for each argument, and would import shutil to ask for the width.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_terminal_columns() - 2)


def _terminal_columns() -> int:
    with contextlib.suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return columns
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80 if sys.__stdout__ else 80
    except (OSError, ValueError):
        return 80


def call(command: str, argv: list[str]) -> int:
    """Run a subcommand; every error of nbci's ends here."""
    # plans and records live to the end and hold no cycles: Python's own rhythm spends two fifths of
    # a plan on them
    gc.set_threshold(100_000, 20, 100)
    try:
        ensure_home(os.environ)
        return _run(command, argv)
    except NbciError as error:
        _say(f"nbci: error: {error}")
        if error.hint:
            _say("\n".join(f"  → {line}" for line in error.hint.splitlines()))
        return error.exit_code
    except KeyboardInterrupt:
        _say("nbci: interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away, as `head` does: nothing is wrong with the work.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.SUCCESS
    except Exception as error:  # noqa: BLE001 - what is caught here is a bug of ours, and is said to be one
        return _bug(command, argv, error)


def _run(command: str, argv: list[str]) -> int:
    module = importlib.import_module(f"nbci.cli.{command}")
    description = (module.__doc__ or COMMANDS[command]).split("\n\n")[0]
    parser = _Parser(prog=f"nbci {command}", description=description, formatter_class=_Help)
    module.add_arguments(parser)
    code = module.main(parser.parse_args(_joined(argv)))
    sys.stdout.flush()
    return int(code)


def _joined(argv: list[str]) -> list[str]:
    """The arguments with `--sort -accuracy` as one: argparse would take the value for an option."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--sort":
            joined[-1] = f"--sort={word}"
        else:
            joined.append(word)
    return joined


def _bug(command: str, argv: list[str], error: BaseException) -> int:
    """Write a log that can be pasted into a report; the terminal gets three lines."""
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
    with tempfile.NamedTemporaryFile(
        "w", prefix="nbci-bug-", suffix=".txt", delete=False, errors="replace"
    ) as file:
        file.write(log)
    _say(f"nbci: this is a bug in nbci: {type(error).__name__}: {error}")
    _say(f"  → a log to attach to a report is in {file.name}")
    return ExitCode.BUG


def _say(text: str) -> None:
    print(text.encode("utf-8", errors="backslashreplace").decode(), file=sys.stderr, flush=True)
