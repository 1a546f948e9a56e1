"""Keep kernels warm between commands: runs start theirs at once.

A process that has imported what kernels need waits for this user's commands, and ends after idling.
"""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.cli.arguments import positive
from nbci.formatting.durations import parse_duration

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci kernels`."""
    parser.add_argument("action", choices=("start", "status", "stop"))
    parser.add_argument(
        "notebooks", nargs="*", metavar="NOTEBOOK", help="start: import what these import"
    )
    parser.add_argument(
        "-k", "--kernel", default="python3", metavar="NAME", help="start: for this kernel"
    )
    parser.add_argument(
        "--preload", action="append", default=[], metavar="MODULE", help="start: import it ahead"
    )
    parser.add_argument(
        "--spares", type=positive, default=2, metavar="N", help="start: kernels ready ahead (2)"
    )
    parser.add_argument(
        "--idle", default="30m", metavar="TIME", help="start: end after so long without use (30m)"
    )
    parser.add_argument("--now", action="store_true", help="stop: end the kernels that run, too")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(arguments: argparse.Namespace) -> int:
    """Do it."""
    return {"start": _start, "status": _status, "stop": _stop}[arguments.action](arguments)


def _start(arguments: argparse.Namespace) -> int:
    from nbci.kernels.specs import find_spec
    from nbci.kernels.zygote import warm

    spec = find_spec(arguments.kernel)
    env = {**os.environ, **(spec.env or {})}
    env.setdefault("PYTHONHASHSEED", "0")  # as the kernels of steps have it
    said = warm.start(
        _argv(spec.argv),
        env,
        preloads=(*arguments.preload, *_imports(arguments.notebooks)),
        spares=arguments.spares,
        idle_seconds=parse_duration(arguments.idle),
    )
    print(json.dumps(said, indent=1) if arguments.json else _described(said))
    return 0


def _argv(argv: list[str]) -> list[str]:
    """The command with jupyter_client's own reading of `python`."""
    import sys

    plain = {
        "python",
        f"python{sys.version_info[0]}",
        f"python{sys.version_info[0]}.{sys.version_info[1]}",
    }
    return [sys.executable if argv[0] in plain else argv[0], *argv[1:]]


def _imports(paths: list[str]) -> tuple[str, ...]:
    from nbci.kernels.zygote.imports import imports_of
    from nbci.notebook.read import parse_notebook

    sources = [
        cell.source
        for path in paths
        for cell in parse_notebook(Path(path).read_bytes(), path).cells
        if cell.kind == "code"
    ]
    return imports_of(sources)


def _status(arguments: argparse.Namespace) -> int:
    from nbci.kernels.zygote import warm

    found = warm.status()
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        print(
            "\n".join(map(_described, found))
            or "no kernels are kept warm; `nbci kernels start` does it"
        )
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    from nbci.kernels.zygote import warm

    ended = warm.stop(now=arguments.now)
    print(json.dumps({"stopped": ended}) if arguments.json else f"stopped: {ended}")
    return 0


def _described(said: dict[str, Any]) -> str:
    age = timedelta(seconds=int(time.time() - said["started"]))
    idle = timedelta(seconds=int(said["idle_seconds"]))
    old = "" if said.get("current", True) else "; packages have changed since, so it is not used"
    lines = [
        f"{said['key']}  pid {said['pid']}, Python {said['version']}, up {age}, ends after {idle} without use{old}",
        f"  kernels: {len(said['kernels'])} running, {len(said['spares'])} ready, {said['served']} served",
        f"  imported ahead: {', '.join(said['preloads']) or 'nothing'}",
    ]
    lines += [
        f"  not imported ahead: {name}: {reason}"
        for name, reason in sorted(said["left_out"].items())
    ]
    return "\n".join(lines)
