"""Show what became of a run, whether it ended, goes on or was killed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, add_run_argument, print_json, shown_path

if TYPE_CHECKING:
    import argparse

    from nbci.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci show`."""
    add_run_argument(parser)
    add_json_argument(parser, "the JSON that schemas/show.schema.json describes")


def main(arguments: argparse.Namespace) -> int:
    """Print the run; the exit code does not depend on its result."""
    from nbci.cli.show_text import render_show, show_document
    from nbci.config import find_project
    from nbci.runs.named_runs import find_any_run
    from nbci.runs.proofs import read_proofs

    project = find_project(Path.cwd())
    folder = find_any_run(project, arguments.run)
    record = folder.read()
    made_by = folder.made_by(record)
    proofs = read_proofs(made_by)
    if arguments.json:
        runs_folder = str(shown_path(folder.path.parent))
        print_json(show_document(record, runs_folder=runs_folder, proofs=proofs))
    else:
        print(render_show(record, proofs), end="")
        _print_blames(made_by)
    return 0


def _print_blames(folder: RunFolder) -> None:
    """Why metrics moved to what this run has, where somebody asked."""
    from nbci.blame.sentences import answer_lines
    from nbci.runs.blames import read_blames

    for blame in read_blames(folder):
        print(f"\nwhy it moved since run {blame.before}")
        print("\n".join(answer_lines(blame)))
