"""Arguments that several subcommands take."""

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
    parser.add_argument("-f", "--file", action="append", default=[], metavar="FILE",
                        help="set parameters from a YAML or JSON file; -p is stronger, then later files")  # fmt: skip
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


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def seconds(text: str) -> float:
    """A duration such as `90s`, `30m` or `1h30m`, in seconds."""
    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration such as 90s, 30m or 1h30m"
        ) from None


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan that is carried out piece by piece, and the folder that carries what the
    pieces make.
    """
    parser.add_argument(
        "--plan", required=True, metavar="FILE", help="what `nbci plan TARGET --out FILE` wrote"
    )
    parser.add_argument(
        "--store",
        metavar="FOLDER",
        help=f"the folder that carries results (default: {STORE_FOLDER} in the project)",
    )
    parser.add_argument("--bring", metavar="FOLDER",
                        help="first take in what other calls left, each in a folder in this one")  # fmt: skip


def shown_path(path: Path) -> Path:
    """The path as the user would type it: relative to where they are, when it lies below."""
    try:
        return path.relative_to(os.getcwd())
    except ValueError:
        return path


def say_page(page: Path, about: Mapping[str, str], arguments: argparse.Namespace) -> None:
    """Say where a page is, with what it is `about` if JSON is asked for, and show it if that is."""
    shown = str(shown_path(page))
    print(json.dumps({**about, "page": shown}, indent=1) if arguments.json else shown)
    if arguments.open:
        import webbrowser

        webbrowser.open(page.as_uri())


def warn(message: str, hint: str | None = None) -> None:
    """Say on stderr what may be wrong, without ending the command."""
    lines = [f"nbci: warning: {message}", *(f"  → {line}" for line in (hint or "").splitlines())]
    print(
        "\n".join(lines).encode("utf-8", errors="backslashreplace").decode(),
        file=sys.stderr,
        flush=True,
    )
