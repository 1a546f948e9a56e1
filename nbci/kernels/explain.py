"""From what a kernel replied, or from its death, to a failure that a person understands."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.kernels.outputs import bearable
from nbci.records.run_record import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.kernels.job import ProgramCell
    from nbci.kernels.processes import Death
    from nbci.secrets import Mask

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
    for line in source.splitlines():
        if line.strip():
            return line.strip()
    return ""


def plain(text: str) -> str:
    """`text` without terminal colours."""
    return ANSI.sub("", text)


def failure_of_error(cell: ProgramCell, error: Mapping[str, Any], count: int | None) -> Failure:
    """The failure of a cell, from the kernel's error reply, in which secrets are masked.

    `count` is the cell's execution count.
    """
    name, value = str(error.get("ename") or ""), plain(str(error.get("evalue") or ""))
    traceback = plain("\n".join(map(str, error.get("traceback") or ())))
    failure = Failure(
        kind="exception",
        message=_message(name, value),
        cell=cell.number,
        first_line=first_line(cell.source),
        line=_line(traceback, count),
        error=name or None,
        traceback=traceback or None,
        exit_code=_status(name, value),
    )
    if name not in EXITS:
        return failure

    # Jupyter's own tools let a cell end its kernel and go on; then the rest would silently not run.
    return replace(
        failure,
        kind="exit",
        message=_exit_message(name, value),
        hint="let the cell end by itself; what follows the call would not have run",
        exit_code=_exit_code(value),
    )


def masked_failure(failure: Failure, mask: Mask) -> Failure:
    """The failure with its texts masked, and cut where they are too long to be kept."""
    return replace(
        failure,
        message=bearable(failure.message, mask),
        first_line=mask.text(failure.first_line or "") or None,
        traceback=bearable(failure.traceback or "", mask) or None,
        log=mask.text(failure.log or "") or None,
    )


def missing_module_hint(
    failure: Failure, kernel: str, interpreter: str, *, locked: bool
) -> str | None:
    """Which Python lacks the module, and how to install it there.

    `locked`: the Python is that of an environment with a lock file, where an install would be lost.
    """
    found = re.search(r"No module named '([^']+)'", failure.message)
    if failure.error != "ModuleNotFoundError" or found is None:
        return None
    module = found[1]
    who = f"the kernel `{kernel}` runs {interpreter}"
    # A part of a package: the package is there, so to install it again would not help.
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
    failure = Failure(
        kind="kernel-died",
        message=death.message,
        hint=death.hint,
        log=log or None,
        signal=death.signal_name,
    )
    # The zygote's death is no fault of the step's, which may be tried again.
    if death.lost:
        failure = replace(failure, kind="infrastructure")
    if death.status >= 0:
        failure = replace(failure, exit_code=death.status)
    if cell is not None:
        line = first_line(cell.source)
        failure = replace(failure, cell=cell.number, first_line=line)
    return failure


def _message(name: str, value: str) -> str:
    # Kernels of other languages, such as bash, reply without a name: with a status, or with text.
    if name == "ShellError" or (not name and value and not value.isdigit()):
        return value
    if not value:
        return name or "the cell failed"
    if not name:
        return f"the cell's last command ended with status {value}"
    return f"{name}: {value}"


def _exit_message(name: str, value: str) -> str:
    if name == "CellExit":
        return "the cell called exit() or quit()"
    return f"the cell called sys.exit({value})"


def _exit_code(value: str) -> int | None:
    if value in ("", "None") or "ended the cell" in value:
        return 0
    if re.fullmatch(r"-?\d+", value):
        return int(value)
    # As Python does for `sys.exit("a message")`.
    return 1


def _status(name: str, value: str) -> int | None:
    if not name and value.isdigit():
        return int(value)
    found = re.search(r"command ended with status (\d+)", value)
    if name != "ShellError" or found is None:
        return None
    return int(found[1])


def _line(traceback: str, count: int | None) -> int | None:
    """The line in the cell: IPython names cells by their execution count."""
    # The forms of IPython 8.7 and later, of 8.0, and of syntax errors.
    patterns = (
        rf"Cell In\s?\[{count}\], line (\d+)",
        rf"Input In \[{count}\], in <cell line: (\d+)>",
        r"File <unknown>, line (\d+)",
    )
    for pattern in patterns:
        found = re.search(pattern, traceback)
        if found:
            return int(found[1])
    return None
