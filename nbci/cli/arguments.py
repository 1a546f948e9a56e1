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
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from nbci.engine.restore import CheckedOut


def add_parameter_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the parameters, their files, and the kernel."""
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
    parser.add_argument(
        "--environment",
        metavar="FILE",
        help="run steps that name no environment in one made from this lock file",
    )


def add_folder_argument(parser: argparse.ArgumentParser) -> None:
    """Declare where a notebook's cells run."""
    parser.add_argument(
        "--in",
        dest="folder",  # `in` is a keyword of Python
        metavar="FOLDER",
        help="run a notebook's cells there, not in its own folder",
    )


def add_build_files_argument(parser: argparse.ArgumentParser) -> None:
    """Declare where a CI finds what a build hands over."""
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="also put report and notebooks there, and how a build is to end",
    )


def optional_path(given: str | None) -> Path | None:
    """The path; None also for "", which an unset variable of a build script becomes."""
    if not given:
        return None
    # Imported only here: a run with nothing to do imports this module.
    from pathlib import Path

    return Path(given)


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the run, by default the latest."""
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        default="latest",
        help="a run's id, its beginning, or `latest`",
    )


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the stored plan, and the folder with the results of its steps."""
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


def add_lost_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the stages that a CI gave up."""
    parser.add_argument(
        "--lost",
        metavar="STAGE=TRIES",
        nargs="+",
        type=_parse_lost_stage,
        default=[],
        help="stages whose machine vanished in each of so many tries",
    )


def _parse_lost_stage(text: str) -> tuple[int, int]:
    stage, separator, tries = text.partition("=")
    if not (separator and stage.isdecimal() and tries.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not STAGE=TRIES, two numbers")
    return int(stage), int(tries)


def add_json_argument(parser: argparse.ArgumentParser, what: str = "JSON") -> None:
    """Declare `--json`; `what` is printed then."""
    parser.add_argument("--json", action="store_true", help=f"print {what}")


def parse_count(text: str) -> int:
    """Parse a whole number of at least 1."""
    # `isdecimal` refuses what `int` reads beyond digits: signs, spaces and underscores.
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def parse_seconds(text: str) -> float:
    """Parse a duration such as `90s`, `30m` or `1h30m`; returns seconds."""
    try:
        return parse_duration(text)
    except ValueError:
        # A ValueError would make argparse name this function instead of what is wrong.
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration such as 90s, 30m or 1h30m"
        ) from None


def shown_path(path: Path) -> Path:
    """The path relative to the current folder, when it lies in it."""
    try:
        return path.relative_to(os.getcwd())
    except ValueError:
        return path


def show_page(page: Path, about: Mapping[str, object], arguments: argparse.Namespace) -> None:
    """Print the path of a page, with `--json` together with `about`; with `--open` open it."""
    shown = str(shown_path(page))
    if arguments.json:
        shown = json.dumps({**about, "page": shown}, indent=1)
    print(shown)

    if arguments.open:
        # Imported late: it searches the machine for browsers, and a CI never asks for one.
        import webbrowser

        webbrowser.open(page.as_uri())


def print_json(document: object, *, ascii_only: bool = True) -> None:
    """Print a document of dicts, lists, scalars and dataclasses.

    `ascii_only` is for documents that quote records, source code or output: these may hold lone
    surrogates, which `print` refuses.
    """
    print(json.dumps(document, indent=1, ensure_ascii=ascii_only, default=_as_mapping))


def _as_mapping(value: Any) -> dict[str, Any]:
    # Imported only here: a run with nothing to do imports this module, and prints no JSON.
    from dataclasses import asdict

    return asdict(value)


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
    """Print a warning to stderr."""
    lines = [f"nbci: warning: {message}"]
    lines += hint_lines(hint)
    print_error("\n".join(lines))


def hint_lines(hint: str | None) -> list[str]:
    """The lines of a hint, marked as such."""
    return [f"  → {line}" for line in (hint or "").splitlines()]


def checked_out_lines(done: CheckedOut) -> Iterator[str]:
    """What stands in the workspace now, and what had to make room for it."""
    from nbci.formatting.sizes import size

    for ref in done.refs:
        line = f"{ref.path}  {size(ref.bytes)}"
        if ref.path not in done.changed:
            line += " (stood there already)"
        yield line
    # Somebody's own files are moved, never overwritten.
    for path in done.displaced:
        yield f"what stood at {path} is kept nowhere else: it is now in {done.aside / path}"
