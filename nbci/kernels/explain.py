"""From what a kernel replied, or from its death, to a failure that a person understands."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from nbci.records.run_record import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.kernels.job import ProgramCell
    from nbci.kernels.processes import Death

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
EXITS = ("SystemExit", "CellExit")
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "PyYAML",
    "bs4": "beautifulsoup4",
    "dotenv": "python-dotenv",
    "dateutil": "python-dateutil",
    "git": "GitPython",
    "umap": "umap-learn",
    "faiss": "faiss-cpu",
}
"""Modules that are installed under another name."""


def first_line(source: str) -> str:
    """The first line that is not blank, to recognise a cell by."""
    return next((line.strip() for line in source.splitlines() if line.strip()), "")


def plain(text: str) -> str:
    """`text` without terminal colours."""
    return ANSI.sub("", text)


def failure_of_error(cell: ProgramCell, error: Mapping[str, Any], count: int | None) -> Failure:
    """The failure of a cell whose (masked) error reply this is; `count` is the cell's execution
    count.
    """
    name, value = str(error.get("ename") or ""), plain(str(error.get("evalue") or ""))
    traceback = plain("\n".join(str(line) for line in error.get("traceback") or ())) or None
    exits = name in EXITS
    hint = "let the cell end by itself; what follows the call would not have run" if exits else None
    return Failure(
        kind="exit" if exits else "exception",
        message=_exit_message(name, value) if exits else _message(name, value),
        hint=hint,
        cell=cell.number,
        first_line=first_line(cell.source),
        line=_line(traceback or "", count),
        error=name or None,
        traceback=traceback,
        exit_code=_exit_code(value) if exits else _status(name, value),
    )


def missing_module_hint(
    failure: Failure, kernel: str, interpreter: str, *, locked: bool
) -> str | None:
    """Which Python lacks the module, and how it gets there; `locked`: it is of an environment with
    a lock file.
    """
    found = re.search(r"No module named '([^']+)'", failure.message)
    if failure.error != "ModuleNotFoundError" or found is None:
        return None
    module = found[1]
    who = f"the kernel `{kernel}` runs {interpreter}"
    if "." in module or "is not a package" in failure.message:
        return f"{who}; the version that is installed there may have no {module}"
    if locked:
        return f"{who}, of the step's `environment:`: add {_distribution(module)} to its lock file"
    install = f"{shlex.quote(interpreter)} -m pip install {_distribution(module)}"
    return f"{who}; install it there: {install}, or give the step an `environment:` that has it"


def _distribution(module: str) -> str:
    return DISTRIBUTIONS.get(module, module)


def failure_of_death(cell: ProgramCell | None, death: Death, log: str) -> Failure:
    """The failure of a step whose kernel died, in a cell or between cells."""
    return Failure(
        kind="infrastructure" if death.lost else "kernel-died",
        message=death.message,
        hint=death.hint,
        cell=cell.number if cell else None,
        first_line=first_line(cell.source) if cell else None,
        log=log or None,
        exit_code=death.status if death.status >= 0 else None,
        signal=death.signal_name,
    )


def _message(name: str, value: str) -> str:
    if name == "ShellError" or (not name and value and not value.isdigit()):
        return value
    if not name:
        return f"the cell's last command ended with status {value}" if value else "the cell failed"
    return f"{name}: {value}" if value else name


def _exit_message(name: str, value: str) -> str:
    if name == "CellExit":
        return "the cell called exit() or quit()"
    return f"the cell called sys.exit({value})" if value else "the cell called sys.exit()"


def _exit_code(value: str) -> int | None:
    if value in ("", "None") or "ended the cell" in value:
        return 0
    return int(value) if re.fullmatch(r"-?\d+", value) else 1


def _status(name: str, value: str) -> int | None:
    if not name and value.isdigit():
        return int(value)
    found = re.search(r"command ended with status (\d+)", value) if name == "ShellError" else None
    return int(found.group(1)) if found else None


def _line(traceback: str, count: int | None) -> int | None:
    """The line in the cell: IPython names cells by their execution count."""
    patterns = (
        rf"Cell In\s?\[{count}\], line (\d+)",
        rf"Input In \[{count}\], in <cell line: (\d+)>",
        r"File <unknown>, line (\d+)",
    )
    for pattern in patterns:
        found = re.search(pattern, traceback)
        if found:
            return int(found.group(1))
    return None
