"""The one end of every run, whether it ran here, was gathered from agents, or is judged again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.runs.index import note_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.config import Project
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder


def conclude(
    project: Project,
    folder: RunFolder,
    record: RunRecord,
    *,
    judge: Callable[[RunRecord], RunRecord],
    publish: Callable[[RunRecord], object],
) -> RunRecord:
    """Judge a run, write its verdict down, publish it, and put it into the index.

    The record without a verdict was written before: a baseline that cannot be read must not cost
    the run its record.
    """
    judged = judge(record)
    # Without gates it is the same record, which is in the folder already.
    if judged is not record:
        folder.write_run(judged)
    publish(judged)
    note_run(project, judged)
    return judged
