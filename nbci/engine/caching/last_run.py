"""Tell quickly that a run has nothing to do, since no input changed since the last run.

The last run is that of the same command; every input must be as that run left it.

Kept small and free of heavy imports: it is what a run with nothing to do costs. What it cannot tell
for sure it leaves to the ordinary way, which compares digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

import nbci
from nbci.file_state import file_signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FORMAT = 6
# What a gate compares with may depend on them.
_BRANCHES = ("CHANGE_TARGET", "BRANCH_NAME", "GIT_BRANCH", "GIT_LOCAL_BRANCH")
_SETTLED_NS = 50_000_000


def state_path(state_folder: Path, command: Sequence[object], environ: Mapping[str, str]) -> Path:
    """The file that remembers the last run of this command.

    The parameters and branches that the environment gives are part of its name.
    """
    given: list[tuple[str, str]] = []
    for name, value in environ.items():
        if name.startswith("NBCI_PARAM_") or name in _BRANCHES:
            given.append((name, value))
    text = json.dumps([FORMAT, nbci.__version__, list(command), sorted(given)], default=str)
    digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    return state_folder / f"run-{digest}.json"


def remember(
    path: Path,
    files: Iterable[str],
    records: Iterable[str],
    summary: Mapping[str, Any],
    *,
    as_of_ns: int | None = None,
    variables: Iterable[str] = (),
    umask: bool = False,
) -> None:
    """Keep the present state of each file, and what to print when nothing has changed.

    Of a folder, the state is that of its entries.

    `records` were written whole by this process a moment ago: no other process has had the time to
    change them in place, so unlike other files they need not be older than a clock tick to be
    trusted. `variables` of the environment, and the `umask`, count as they are now. `as_of_ns` is
    when the files were seen to be what the run used, now by default.
    """
    if as_of_ns is None:
        as_of_ns = time.time_ns()
    document = {
        "written_ns": as_of_ns,
        "files": _signatures(files),
        "records": _signatures(records),
        "process": _process(variables, umask),
        "summary": dict(summary),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document), encoding="utf-8")
    # Renamed into place, so that another process never reads half a file.
    temporary.replace(path)


def recall(path: Path) -> dict[str, Any] | None:
    """The summary of the last run of the command, if every file stands as it stood then."""
    try:
        document = json.loads(path.read_bytes())
        settled = int(document["written_ns"]) - _SETTLED_NS
        for name, known in document["files"].items():
            now = file_signature(name)
            # A file changed within a clock tick of the note may change again with the same time.
            if now != known or (now is not None and max(now[2], now[3]) > settled):
                return None
        for name, known in document["records"].items():
            if file_signature(name) != known:
                return None
        process = document["process"]
        if process != _process(process["variables"], process["umask"] is not None):
            return None
        summary: dict[str, Any] = document["summary"]
    except (OSError, ValueError, KeyError, TypeError):
        # A damaged file, or one of another format, costs only the ordinary comparison.
        return None
    return summary


def _process(variables: Iterable[str], umask: bool) -> dict[str, Any]:
    """What this process was given.

    Variables are kept as digests, since their values may be private.
    """
    from nbci.engine.observed.process_inputs import umask_now, variable_state

    found: dict[str, Any] = {
        "variables": {name: variable_state(name, os.environ) for name in sorted(variables)},
        "umask": None,
    }
    if umask:
        found["umask"] = umask_now()
    return found


def _signatures(names: Iterable[str]) -> dict[str, list[int] | None]:
    return {name: file_signature(name) for name in dict.fromkeys(names)}
