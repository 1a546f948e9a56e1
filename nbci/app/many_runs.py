"""Compare many runs: find them by name, read their records, and write the page."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.app.sweeps.sweep_folder import SweepFolder
from nbci.errors import IntegrityError, UsageError
from nbci.report.data.many_runs import compare_runs, left_out_lines
from nbci.runs.file_names import BELONGING
from nbci.runs.folder import RunFolder
from nbci.runs.named_runs import NamedRuns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nbci.config import Project
    from nbci.pipeline.rules import DeclaredMetric
    from nbci.records.run_record import RunRecord
    from nbci.report.data.many_runs import ManyRuns
    from nbci.report.data.material import ShownRun

MOST_RUNS = 200
_UNREADABLE = (IntegrityError, UsageError, OSError)


class FoundRuns(Struct, frozen=True):
    """Runs that are compared, and the folder of each by its id."""

    many: ManyRuns
    folders: Mapping[str, RunFolder]


def is_pair(project: Project, names: Sequence[str]) -> bool:
    """Whether the names are of two runs, or of one that is compared with the latest."""
    known = NamedRuns(project)
    return len(names) < 3 and all(known.sweep(name) is None for name in names)


def find_runs(project: Project, names: Sequence[str]) -> FoundRuns:
    """The runs of these names, compared; a sweep stands for its trials.

    Those whose records cannot be read are left out. UsageError where they are too many, or fewer
    than two are left.
    """
    known = NamedRuns(project)
    # By id: a trial may be named by itself and with its sweep.
    folders: dict[str, RunFolder] = {}
    left_out: dict[str, str] = {}
    for name in names:
        sweep = known.sweep(name)
        if sweep is None:
            folder = known.find_one(name)
            folders[folder.run] = folder
        else:
            folders |= _trials(known, sweep, left_out)
    if len(folders) > MOST_RUNS:
        raise UsageError(
            f"these are {len(folders):,} runs, and at most {MOST_RUNS} can be compared",
            hint="name those that matter: nbci runs --where 'sweep == \"ID\"' --sort -METRIC "
            f"--limit {MOST_RUNS} lists the best of a sweep",
        )
    records = []
    for run, folder in folders.items():
        try:
            records.append(folder.read())
        except _UNREADABLE as error:
            left_out[run] = str(error)
    if len(records) < 2:
        readable = f"of these runs, {len(records) or 'none'} can be read"
        raise UsageError(
            f"there is nothing to compare: {'; '.join([readable, *left_out_lines(left_out)])}",
            hint="name at least two runs, or a sweep: `nbci runs` lists runs",
        )
    declared = _declared(records, folders)
    return FoundRuns(compare_runs(records, declared, left_out), folders)


def _trials(known: NamedRuns, sweep: Path, left_out: dict[str, str]) -> dict[str, RunFolder]:
    """The run of each trial of the sweep, the last of those that tried its point."""
    folders = {}
    for trial in SweepFolder(sweep).read_trials():
        # A trial whose point another one had has that one's run.
        if trial.run is None:
            continue
        folder = RunFolder(sweep / BELONGING / trial.run)
        try:
            # A run from before the sweep may be the first to know a point.
            if not folder.path.is_dir():
                folder = known.find_one(trial.run)
        except UsageError:
            left_out[trial.run] = "it was removed, or is on the machine that carried it out"
            continue
        folders[folder.run] = folder
    return folders


def _declared(
    records: Sequence[RunRecord], folders: Mapping[str, RunFolder]
) -> dict[str, Mapping[str, DeclaredMetric]]:
    """What each pipeline says of its metrics, in the newest of the runs whose plan is whole."""
    declared: dict[str, Mapping[str, DeclaredMetric]] = {}
    # Not all plans are read: of 200 runs they take longer than everything else.
    for record in sorted(records, key=lambda record: record.run, reverse=True):
        if record.pipeline in declared:
            continue
        try:
            metrics = folders[record.run].read_plan().metrics
        except _UNREADABLE:
            continue
        if metrics is not None:
            declared[record.pipeline] = metrics
    return declared


def write_page(project: Project, found: FoundRuns) -> Path:
    """Write the page of the runs; its path.

    It lies in the folder of the newest of them, and goes away with that run.
    """
    from nbci.app.publish import mask_files
    from nbci.engine.prepare import mask_for
    from nbci.report.pages.many_page import render_many_runs
    from nbci.report.write import write_report

    runs = sorted(run.run for run in found.many.runs)
    newest = found.folders[runs[-1]]
    # The same runs have the same page, whenever and in whatever order they are named.
    name = hashlib.blake2b("\n".join(runs).encode(), digest_size=4).hexdigest()
    pages = newest.path / "compared" / f"{len(runs)}-runs-{name}"
    addresses = {}
    for run in found.many.runs:
        # A trial has no report until somebody asks for one.
        report = found.folders[run.run].report / "index.html"
        if report.is_file():
            addresses[run.run] = os.path.relpath(report, pages).replace(os.sep, "/")
    files = render_many_runs(found.many, _shown_runs(project, found), addresses)
    # What charts show of a step's own files may hold a secret, as in a report.
    mask = mask_for(project, newest.read_plan(), os.environ)
    write_report(pages, mask_files(files, mask))
    return pages / "index.html"


def _shown_runs(project: Project, found: FoundRuns) -> list[ShownRun]:
    """The runs with what they left, for their charts."""
    from nbci.report.data.gather import result_store
    from nbci.report.data.material import ShownRun
    from nbci.report.data.stored_results import StoredFiles, StoredNotebooks

    store = result_store(project, os.environ, [])
    shown = []
    for run in found.many.runs:
        record, folder = run.record, found.folders[run.run]
        files = StoredFiles(store, record.outs)
        shown.append(
            ShownRun(
                record=record,
                plan=folder.read_plan(),
                notebooks=StoredNotebooks(store, folder, record),
                read_file=files,
                list_files=files.within,
            )
        )
    return shown
