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

from nbci.cli.arguments import add_json_argument, parse_count, parse_seconds, print_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


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
        "--spares", type=parse_count, default=2, metavar="N", help="start: kernels ready ahead (2)"
    )
    parser.add_argument(
        "--idle",
        type=parse_seconds,
        default="30m",
        metavar="TIME",
        help="start: end after so long without use (30m)",
    )
    parser.add_argument("--now", action="store_true", help="stop: end the kernels that run, too")
    add_json_argument(parser)


def main(arguments: argparse.Namespace) -> int:
    """Call the function of the action."""
    return {"start": _start, "status": _status, "stop": _stop}[arguments.action](arguments)


def _start(arguments: argparse.Namespace) -> int:
    from nbci.kernels.specs import find_spec
    from nbci.kernels.zygote import warm

    spec = find_spec(arguments.kernel)
    env = {**os.environ, **(spec.env or {})}
    # As the kernels of steps have it: a process with another seed could not be their parent.
    env.setdefault("PYTHONHASHSEED", "0")
    process = warm.start(
        _argv(spec.argv),
        env,
        preloads=(*arguments.preload, *_imports(arguments.notebooks)),
        spares=arguments.spares,
        idle_seconds=arguments.idle,
    )
    if arguments.json:
        print_json(process)
    else:
        print(_describe(process))
    return 0


def _argv(argv: list[str]) -> list[str]:
    """The command, with `python` replaced by the interpreter of nbci, as jupyter_client does."""
    import sys

    # Interpreters have their names in PATH, too, and may be others than the one that runs nbci.
    major, minor = sys.version_info[:2]
    if argv[0] in {"python", f"python{major}", f"python{major}.{minor}"}:
        return [sys.executable, *argv[1:]]
    return argv


def _imports(paths: list[str]) -> tuple[str, ...]:
    """The modules that the code cells of these notebooks import."""
    from nbci.kernels.zygote.imports import imports_of
    from nbci.notebook.read import parse_notebook

    sources: list[str] = []
    for path in paths:
        for cell in parse_notebook(Path(path).read_bytes(), path).cells:
            if cell.kind == "code":
                sources.append(cell.source)
    return imports_of(sources)


def _status(arguments: argparse.Namespace) -> int:
    from nbci.kernels.zygote import warm

    processes = warm.status()
    if arguments.json:
        print_json(processes)
    elif not processes:
        print("no kernels are kept warm; `nbci kernels start` does it")
    else:
        print("\n".join(map(_describe, processes)))
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    from nbci.kernels.zygote import warm

    count = warm.stop(now=arguments.now)
    if arguments.json:
        print(json.dumps({"stopped": count}))
    else:
        print(f"stopped: {count}")
    return 0


def _describe(process: dict[str, Any]) -> str:
    return "\n".join(_lines(process))


def _lines(process: dict[str, Any]) -> Iterator[str]:
    # Whole seconds: a timedelta would be written with six decimals.
    age = timedelta(seconds=int(time.time() - process["started"]))
    idle = timedelta(seconds=int(process["idle_seconds"]))
    first = f"{process['key']}  pid {process['pid']}, Python {process['version']}, up {age}, "
    first += f"ends after {idle} without use"
    # A process keeps the modules that it has imported, whatever was installed since.
    if not process.get("current", True):
        first += "; packages have changed since, so it is not used"
    yield first

    running, ready = len(process["kernels"]), len(process["spares"])
    yield f"  kernels: {running} running, {ready} ready, {process['served']} served"
    yield f"  imported ahead: {', '.join(process['preloads']) or 'nothing'}"
    for name, reason in sorted(process["left_out"].items()):
        yield f"  not imported ahead: {name}: {reason}"
