"""Arguments that several subcommands take, and the output that several of them print."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from nbci.dot_nbci import STORE_FOLDER
from nbci.formatting.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def add_parameter_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how parameters are given, and the kernel."""
    parser.add_argument(
        "-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="set a parameter"
    )
    parser.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="FILE",
        help="set parameters from a YAML or JSON file; -p is stronger, then later files",
    )
    parser.add_argument(
        "-k",
        "--kernel",
        metavar="NAME",
        help="run every step in this kernel, whatever its notebook says",
    )


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """Declare which run of the project is meant."""
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        default="latest",
        help="a run's id, its beginning, or `latest`",
    )


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stored plan, and the folder that carries what its steps make."""
    parser.add_argument(
        "--plan", required=True, metavar="FILE", help="what `nbci plan TARGET --out FILE` wrote"
    )
    parser.add_argument(
        "--store",
        metavar="FOLDER",
        help=f"the folder that carries results (default: {STORE_FOLDER} in the project)",
    )
    parser.add_argument(
        "--bring",
        metavar="FOLDER",
        help="first take in what other calls left, each in a folder in this one",
    )


def parse_count(text: str) -> int:
    """A whole number of at least 1."""
    # `isdecimal` refuses what `int` reads beyond digits: signs, spaces and underscores.
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def parse_seconds(text: str) -> float:
    """A duration such as `90s`, `30m` or `1h30m`, in seconds."""
    try:
        return parse_duration(text)
    except ValueError:
        # A ValueError would make argparse name this function instead of what is wrong.
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration such as 90s, 30m or 1h30m"
        ) from None


def shown_path(path: Path) -> Path:
    """The path as the user would type it: relative to where they are, when it lies below."""
    try:
        return path.relative_to(os.getcwd())
    except ValueError:
        return path


def show_page(page: Path, about: Mapping[str, str], arguments: argparse.Namespace) -> None:
    """Print where a page is, as JSON together with `about` if asked; open it if asked."""
    shown = str(shown_path(page))
    if arguments.json:
        shown = json.dumps({**about, "page": shown}, indent=1)
    print(shown)

    if arguments.open:
        # Imported late: it searches the machine for browsers, and a CI never asks for one.
        import webbrowser

        webbrowser.open(page.as_uri())


def print_text(text: str) -> None:
    """Print to stdout as UTF-8 whatever the locale says, with lone surrogates as escapes.

    Texts of notebooks, and file names that are no UTF-8, may hold surrogates; `print` refuses them.
    """
    sys.stdout.buffer.write(f"{text}\n".encode("utf-8", errors="backslashreplace"))


def print_error(text: str) -> None:
    """Print to stderr, with lone surrogates as escapes."""
    # Only surrogates are escaped here: the encoding of stderr is Python's own business, which
    # escapes what it lacks.
    shown = text.encode("utf-8", errors="backslashreplace").decode()
    print(shown, file=sys.stderr, flush=True)


def warn(message: str, hint: str | None = None) -> None:
    """Say on stderr what may be wrong, without ending the command."""
    lines = [f"nbci: warning: {message}"]
    lines += hint_lines(hint)
    print_error("\n".join(lines))


def hint_lines(hint: str | None) -> list[str]:
    """The lines of a hint, marked as such."""
    return [f"  → {line}" for line in (hint or "").splitlines()]
