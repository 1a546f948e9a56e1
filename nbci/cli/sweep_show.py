"""Show the trials of a sweep, the best first; `--html` writes pages with pictures of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import show_page
from nbci.cli.sweep_arguments import add_output_arguments, add_sweep_argument
from nbci.cli.sweep_display import print_trials, shown_target

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep show`."""
    add_sweep_argument(parser)
    parser.add_argument(
        "--html", action="store_true", help="write pages with pictures, and print where they are"
    )
    parser.add_argument(
        "--open", action="store_true", help="the same, and show them in the browser"
    )
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="first ask the shared study what became of the trials of other processes",
    )
    add_output_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Print a sweep; without `--refresh` it imports neither Optuna nor what carries steps out."""
    from nbci.app.sweeps.sweep_folder import find_sweep
    from nbci.config import find_project

    project = find_project(Path.cwd())
    folder = find_sweep(project, arguments.sweep)
    if arguments.refresh:
        from nbci.app.sweeps.study_backs import refresh

        refresh(project, folder)
    if arguments.html or arguments.open:
        from nbci.app.sweeps.pages import write_sweep_pages

        page = write_sweep_pages(folder, shown_target(folder.path, folder.read_record()))
        show_page(page, {"sweep": folder.sweep}, arguments)
        return 0
    print_trials(folder.read_record(), folder.read_trials(), folder.path, arguments)
    return 0
