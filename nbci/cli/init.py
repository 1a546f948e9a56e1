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

if TYPE_CHECKING:
    import argparse

_TEMPLATE = Path(__file__).parent / "project_template"
_DEMO = ("notebooks/first.ipynb", "pipelines/first.yaml")
_NOT_LOOKED_AT = ("node_modules", "venv", "env", "build", "dist")
_MOST_SHOWN = 10
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
    """Write what is missing, and say what was written and what comes next."""
    folder = Path(arguments.folder)
    _refuse(folder)
    found = _notebooks(folder)
    wanted = {name: template for name, template in _FILES.items() if not found or name not in _DEMO}
    try:
        made = [name for name, template in wanted.items() if _write_new(folder / name, template)]
        ignored = _add_ignored(folder / ".gitignore")
    except OSError as error:
        raise InfrastructureError(
            f"cannot be written: {error.strerror}", where=Location(str(error.filename))
        ) from error
    for path in found[:_MOST_SHOWN]:
        print(f"  found       {path}: {_steps_of(folder / path)}")
    if len(found) > _MOST_SHOWN:
        print(f"  found       {len(found) - _MOST_SHOWN} more notebooks")
    for name in wanted:
        print(f"  {'made' if name in made else 'left alone':10}  {name}")
    print(
        f"  added to    .gitignore: {', '.join(ignored)}" if ignored else "  left alone  .gitignore"
    )
    print("\n".join(_next_commands(arguments.folder, found)))
    return ExitCode.SUCCESS


def _notebooks(folder: Path) -> list[str]:
    """The project's own notebooks, by their paths in it; those that `nbci init` made are none."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith((".", "_")) and name not in _NOT_LOOKED_AT
        )
        if Path(where).joinpath("pyvenv.cfg").exists():
            folders.clear()
            continue
        found += [
            Path(where, name).relative_to(folder).as_posix()
            for name in sorted(files)
            if name.endswith(".ipynb")
        ]
    return [path for path in found if path not in _DEMO]


def _steps_of(path: Path) -> str:
    """How many steps the tags of its cells make, in words."""
    try:
        cells = json.loads(path.read_bytes())["cells"]
        tags = [tag for cell in cells for tag in cell.get("metadata", {}).get("tags", ())]
        steps = {tag for tag in tags if isinstance(tag, str) and tag.startswith("step:")}
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return "it cannot be read as a notebook"
    if not steps:
        return "no step tags yet, so it runs as one step"
    return "1 step" if len(steps) == 1 else f"{len(steps)} steps"


def _refuse(folder: Path) -> None:
    """UsageError where no project can be: in a file, or where another folder would be the root."""
    for place in (folder, *folder.absolute().parents):
        if place.exists() and not place.is_dir():
            raise UsageError("this is a file, not a folder", where=Location(str(place)))
    for name in ("notebooks", "pipelines"):
        if (folder / name).exists() and not (folder / name).is_dir():
            raise UsageError(
                "this is a file where a project has a folder", where=Location(str(folder / name))
            )
    if (folder / "pyproject.toml").exists():
        from nbci.config import find_project

        root = find_project(folder).root
        if root != folder.resolve():
            raise UsageError(
                f"the root of this folder's project would be {root}",
                hint="add a line `[tool.nbci]` to the folder's pyproject.toml, or run `nbci init` in that root",
                where=Location(str(folder / "pyproject.toml")),
            )


def _write_new(path: Path, template: str) -> bool:
    """Write the file unless something of that name is there; whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = (_TEMPLATE / template).read_bytes()
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _add_ignored(path: Path) -> list[str]:
    """Add the lines that .gitignore lacks; those that were added."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    present = {line.strip().strip("/") for line in text.splitlines()}
    wanted = (_TEMPLATE / "gitignore.txt").read_text(encoding="utf-8").split()
    added = [line for line in wanted if line.strip("/") not in present]
    if added:
        with path.open("a", encoding="utf-8") as file:
            file.write(
                ("\n" if text and not text.endswith("\n") else "")
                + "".join(f"{line}\n" for line in added)
            )
    return added


def _next_commands(folder: str, notebooks: list[str]) -> list[str]:
    import shlex

    enter = [] if folder == "." else [f"  cd {shlex.quote(folder)}"]
    if notebooks:
        target = shlex.quote(notebooks[0])
        return ["", "Next:", *enter, "  nbci lint", f"  nbci plan {target}", f"  nbci run {target}"]
    return [
        "",
        "Next:",
        *enter,
        "  nbci run pipelines/first.yaml",
        "  nbci run notebooks/first.ipynb -p dataset=II",
        "  nbci lint",
    ]
