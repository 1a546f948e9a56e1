"""Lay out a project that runs at once: a notebook, a pipeline, what git is to ignore.

Files that are there already are left as they are. Where there are notebooks, no other one is put
beside them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.errors import ExitCode, InfrastructureError, Location, UsageError
from nbci.formatting.numbers import counted
from nbci.formatting.text import text_of_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

_TEMPLATE = Path(__file__).parent / "project_template"
_DEMO = ("notebooks/first.ipynb", "pipelines/first.yaml")
# Notebooks in these are of other people: of packages, or copies that a build made.
_FOREIGN_FOLDERS = ("node_modules", "venv", "env", "build", "dist")
_NOTEBOOKS_SHOWN = 10
_FILES = {
    "notebooks/first.ipynb": "first.ipynb",
    "pipelines/first.yaml": "first.yaml",
    "pyproject.toml": "pyproject.toml",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci init`."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        default=".",
        help="where (default: here); made if need be",
    )


def main(arguments: argparse.Namespace) -> int:
    """Write the missing files; print what was written and the next commands."""
    folder = Path(arguments.folder)
    _refuse_unfit(folder)
    notebooks = _notebooks(folder)
    # Who has notebooks needs no demo; a demo that is there already is named as left alone.
    names = [*_FILES]
    if notebooks:
        names = _without_demo(names)
    try:
        written = [name for name in names if _write_new(folder / name, _FILES[name])]
        ignored = _add_ignored(folder / ".gitignore")
    # One handler for all writes: what was written stays, and the next call goes on from there.
    except OSError as error:
        raise InfrastructureError(
            f"cannot be written: {error.strerror}", where=Location(str(error.filename))
        ) from error

    lines = [
        *_notebook_lines(folder, notebooks),
        *_file_lines(names, written, ignored),
        *_next_commands(arguments.folder, notebooks),
    ]
    print("\n".join(lines))
    return ExitCode.SUCCESS


def _notebook_lines(folder: Path, notebooks: list[str]) -> Iterator[str]:
    for path in notebooks[:_NOTEBOOKS_SHOWN]:
        yield f"  found       {path}: {_steps_of(folder / path)}"
    if len(notebooks) > _NOTEBOOKS_SHOWN:
        yield f"  found       {len(notebooks) - _NOTEBOOKS_SHOWN} more notebooks"


def _without_demo(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in _DEMO]


def _file_lines(names: Iterable[str], written: list[str], ignored: list[str]) -> Iterator[str]:
    for name in names:
        done = "left alone"
        if name in written:
            done = "made"
        yield f"  {done:10}  {name}"
    if ignored:
        yield f"  added to    .gitignore: {', '.join(ignored)}"
    else:
        yield "  left alone  .gitignore"


def _notebooks(folder: Path) -> list[str]:
    """Paths of the project's own notebooks; the demo of `nbci init` is not among them."""
    found: list[str] = []
    for where, folders, files in os.walk(folder):
        # `os.walk` goes into what is left in this list, and in its order.
        folders[:] = sorted(filter(_may_have_notebooks, folders))
        # A virtual environment, whatever its name: PEP 405 puts this file into its root.
        if Path(where, "pyvenv.cfg").exists():
            folders.clear()
            continue
        for name in sorted(files):
            if name.endswith(".ipynb"):
                found.append(Path(where, name).relative_to(folder).as_posix())
    return _without_demo(found)


def _may_have_notebooks(folder: str) -> bool:
    return not folder.startswith((".", "_")) and folder not in _FOREIGN_FOLDERS


def _steps_of(path: Path) -> str:
    """How many steps the tags of the notebook make, in words."""
    # Read as plain JSON: nbformat takes longer to import than all the rest of this command.
    steps = set()
    try:
        for cell in json.loads(path.read_bytes())["cells"]:
            for tag in cell.get("metadata", {}).get("tags", ()):
                if isinstance(tag, str) and tag.startswith("step:"):
                    steps.add(tag)
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return "it cannot be read as a notebook"
    if not steps:
        return "no step tags yet, so it runs as one step"
    return counted(len(steps), "step")


def _refuse_unfit(folder: Path) -> None:
    """Raise UsageError for a path through a file, and where another folder would be the root."""
    # All of it before anything is written: half a project is worse than none.
    for place in (folder, *folder.absolute().parents):
        if _is_in_the_way(place):
            raise UsageError("this is a file, not a folder", where=Location(str(place)))
    for place in (folder / "notebooks", folder / "pipelines"):
        if _is_in_the_way(place):
            raise UsageError(
                "this is a file where a project has a folder", where=Location(str(place))
            )
    if (folder / "pyproject.toml").exists():
        _refuse_other_root(folder)


def _is_in_the_way(place: Path) -> bool:
    return place.exists() and not place.is_dir()


def _refuse_other_root(folder: Path) -> None:
    """Raise UsageError where the pyproject.toml lacks `[tool.nbci]`: the root is above then."""
    from nbci.config import find_project

    root = find_project(folder).root
    if root != folder.resolve():
        raise UsageError(
            f"the root of this folder's project would be {root}",
            hint="add a line `[tool.nbci]` to the folder's pyproject.toml, "
            "or run `nbci init` in that root",
            where=Location(str(folder / "pyproject.toml")),
        )


def _write_new(path: Path, template: str) -> bool:
    """Write the file unless it exists; returns whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = (_TEMPLATE / template).read_bytes()
    # "x": the file may appear between a look and the write, and it would be somebody's.
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _add_ignored(path: Path) -> list[str]:
    """Append the lines that .gitignore lacks, and return them."""
    text = ""
    if path.exists():
        text = path.read_text(encoding="utf-8")
    present = set(map(_ignored_name, text.splitlines()))
    wanted = (_TEMPLATE / "gitignore.txt").read_text(encoding="utf-8").split()
    missing = [line for line in wanted if _ignored_name(line) not in present]
    if not missing:
        return []

    with path.open("a", encoding="utf-8") as file:
        # A last line without an end would become one with ours.
        if text and not text.endswith("\n"):
            file.write("\n")
        file.write(text_of_lines(missing))
    return missing


def _ignored_name(line: str) -> str:
    """What a line of .gitignore names: `.nbci`, `.nbci/` and `/.nbci` all ignore the folder."""
    return line.strip().strip("/")


def _next_commands(folder: str, notebooks: list[str]) -> Iterator[str]:
    import shlex

    yield ""
    yield "Next:"
    if folder != ".":
        yield f"  cd {shlex.quote(folder)}"
    if notebooks:
        target = shlex.quote(notebooks[0])
        yield "  nbci lint"
        yield f"  nbci plan {target}"
        yield f"  nbci run {target}"
    else:
        yield "  nbci run pipelines/first.yaml"
        yield "  nbci run notebooks/first.ipynb -p dataset=II"
        yield "  nbci lint"
