"""What monitors found, kept: the newest results of each model, and the files of one."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from nbci.dot_nbci import NBCI_FOLDER
from nbci.errors import NbciError
from nbci.gates.watched import RESULT
from nbci.logged.log_files import model_folder
from nbci.records.codec import from_json, to_json
from nbci.records.monitoring import MonitorResult
from nbci.store.files import disk_errors, write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FOLDER = "monitors"
_METRICS = "metrics.json"
_KEPT = 200
_SHOWN = 30
_ID = re.compile(r"(\d{8})(?:-(\d{6})-(\d{3})|T(\d{6})Z-)[0-9a-f]{4}")
"""An id as runs have it, or as monitors had it before: without milliseconds."""


def results_folder(root: Path, model: str) -> Path:
    """Where a project keeps the results of a model's monitors."""
    return model_folder(root / NBCI_FOLDER / _FOLDER, model)


def earlier_results(
    root: Path, model: str, most: int = _SHOWN
) -> tuple[tuple[MonitorResult, ...], tuple[str, ...]]:
    """The newest results of a model, the oldest first, and sentences about what cannot be read."""
    found: list[MonitorResult] = []
    problems: list[str] = []
    for folder in _folders(root, model)[-most:]:
        path = folder / RESULT
        try:
            found.append(from_json(path.read_bytes(), MonitorResult, str(path)))
        except FileNotFoundError:
            # Its monitor is still at work, or was killed.
            continue
        except (NbciError, OSError) as error:
            problems.append(f"{path} is left out: {error}")
    return tuple(found), tuple(problems)


def _folders(root: Path, model: str) -> list[Path]:
    """The folders of results, the oldest first."""
    own = results_folder(root, model)
    if not own.is_dir():
        return []
    moments = {}
    for place in own.iterdir():
        told = _ID.fullmatch(place.name)
        if told is not None:
            # As texts, ids of the two forms would not sort by time.
            date, time, milliseconds, earlier_time = told.groups("")
            moments[place] = (date, time or earlier_time, milliseconds, place.name)
    return sorted(moments, key=moments.__getitem__)


def keep_result(root: Path, result: MonitorResult, out: Path | None) -> Path:
    """Write the result and what is made of it into `out`, by default the project's own folder.

    The project keeps the newest results of a model in any case: the next one shows the trend.
    """
    # Read before this one is there, since it is none of its own past.
    earlier, _ = earlier_results(root, result.model)
    kept = results_folder(root, result.model) / result.id
    # First of all: what a full disk keeps from being drawn is judged all the same.
    write_atomic(kept / RESULT, to_json(result))
    _forget_oldest(root, result.model)
    folder = kept if out is None else out
    # An out of a step is there whatever was found; a window without rows has nothing to draw.
    with disk_errors(folder):
        (folder / "images").mkdir(parents=True, exist_ok=True)
    for name, content in files_of(result, earlier).items():
        write_atomic(folder / name, content)
    return folder


def files_of(result: MonitorResult, earlier: Sequence[MonitorResult]) -> dict[str, str | bytes]:
    """All that is made of a result, by file name; the page shows the trend since the `earlier`."""
    # Imported here: the page brings matplotlib.
    from nbci.report.junit import monitor_junit
    from nbci.report.pages.monitor.monitor_page import render_monitor
    from nbci.report.prometheus import monitor_prometheus

    return {
        RESULT: to_json(result),
        _METRICS: to_json(dict(result.metrics or {})),
        "junit.xml": monitor_junit(result),
        "metrics.prom": monitor_prometheus(result),
        **render_monitor(result, earlier),
    }


def _forget_oldest(root: Path, model: str) -> None:
    """Remove what is older than the newest results; only files that nbci writes there."""
    for folder in _folders(root, model)[:-_KEPT]:
        for path in sorted(folder.rglob("*"), reverse=True):
            _remove(path)
        _remove(folder)


def _remove(path: Path) -> None:
    # Another monitor may be at the same, and old results are no reason to lose a new one.
    with contextlib.suppress(OSError):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
