"""Put files that a run made, or read, back into the workspace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import checked_out_lines

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci checkout`."""
    parser.add_argument("run", metavar="RUN", help="a run's id, its beginning, or `latest`")
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="only these, or what lies in them (default: all outs)",
    )
    parser.add_argument(
        "--to", metavar="FOLDER", type=Path, help="put them below this folder instead"
    )


def main(arguments: argparse.Namespace) -> int:
    """Restore the files, and print their paths."""
    from nbci.config import find_project
    from nbci.engine.restore import check_out
    from nbci.runs.project_runs import find_run

    project = find_project(Path.cwd())
    folder = find_run(project, arguments.run)
    wanted = [_path_in_project(project.root, path) for path in arguments.paths]
    done = check_out(project, folder, wanted, os.environ, to=arguments.to)

    for line in checked_out_lines(done):
        print(line)
    return 0


def _path_in_project(root: Path, path: str) -> str:
    """The path relative to the root, as in records; unchanged outside, where it matches none."""
    # Not `resolve`: records name a link by its own path, not by what it leads to.
    place = Path(os.path.normpath(Path.cwd() / path))
    if not place.is_relative_to(root):
        return path
    return place.relative_to(root).as_posix()
