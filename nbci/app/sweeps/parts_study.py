"""The study of a sweep whose trials agents carry out, opened for one call of a worker.

In a database, trials of silent processes count as dead after a while. Of a build no process lives
as long as its trials: each call says of all of them that they go on.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from nbci.app.sweeps.study import Study
from nbci.app.sweeps.study_backs import GRACE, back_of
from nbci.app.sweeps.trials import Trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.app.sweeps.parts_folder import PartsFolder
    from nbci.config import Project
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_GRACE_SECONDS = 3600
"""How long a build may be silent: as long as its stages wait for agents and run."""


@contextmanager
def open_parts_study(project: Project, folder: PartsFolder, sweep: SweepRecord) -> Iterator[Study]:
    """The study, in which the trials of this sweep's workers go on."""
    environ = {GRACE: str(_GRACE_SECONDS), **os.environ}
    known = folder.read_trials()
    with closing(Study(back_of(project, folder, sweep, environ), sweep, len(known))) as study:
        if study.is_shared:
            study.beat_for(trial.number for trial in known if goes_on_here(sweep, trial))
        yield study


@contextmanager
def open_trials(project: Project, folder: PartsFolder, sweep: SweepRecord) -> Iterator[Trials]:
    """The trials of the sweep, and of those that share its study."""
    with open_parts_study(project, folder, sweep) as study:
        trials = Trials(sweep, folder, study, folder.read_trials())
        trials.look_around()
        yield trials


def is_own(sweep: SweepRecord, trial: TrialRecord) -> bool:
    """Whether this sweep carries the trial out, and no other one that shares its study."""
    return trial.sweep in (None, sweep.sweep)


def goes_on_here(sweep: SweepRecord, trial: TrialRecord) -> bool:
    """Whether a worker of this sweep has the trial."""
    return trial.state == "running" and is_own(sweep, trial)
