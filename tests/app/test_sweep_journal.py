"""The journal of a study is Optuna's own, and is mended by the sweep's record."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.app.sweeps.study import Study
from nbci.app.sweeps.study_backs import JournalBack
from nbci.errors import InfrastructureError
from tests.app.test_sweep_study import SPACE, carried_out
from tests.sweeps.test_standing import sweep

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.sweeps.study_record import TrialRecord

pytestmark = pytest.mark.slow
RECORD = sweep(space=SPACE, method="tpe")


def searched(path: Path, trials: int) -> list[TrialRecord]:
    """A study with so many trials."""
    study = Study(JournalBack(path), RECORD, 0)
    records = []
    for _ in range(trials):
        number, point = study.ask()
        records.append(carried_out(number, point))
        study.tell(records[-1])
    return records


def seen_by_optuna(path: Path) -> list[tuple[dict[str, Any], str]]:
    """What Optuna's own backend reads."""
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(path)))
    study = load_study(study_name=RECORD.sweep, storage=storage)
    return [(trial.params, trial.state.name) for trial in study.get_trials()]


def test_optuna_reads_what_is_written_and_adds_to_it(tmp_path: Path) -> None:
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = tmp_path / "study.log"
    records = searched(path, 3)
    assert seen_by_optuna(path) == [(record.params, "COMPLETE") for record in records]

    storage = JournalStorage(JournalFileBackend(str(path)))
    load_study(study_name=RECORD.sweep, storage=storage).ask()
    assert Study(JournalBack(path), RECORD, 4).ask()[0] == 4


@pytest.mark.parametrize("left", [0.3, 0.5, 0.8, 0.97])
def test_what_a_machine_that_stopped_lost_comes_from_the_record(
    tmp_path: Path, left: float
) -> None:
    path = tmp_path / "study.log"
    records = searched(path, 4)
    text = path.read_bytes()
    path.write_bytes(text[: int(len(text) * left)])

    study = Study(JournalBack(path), RECORD, 4)
    study.restore(records)
    study.settle(records)

    number, point = study.ask()
    assert number == 4
    study.tell(replace(carried_out(number, point), state="failed", values=(), error="e"))
    seen = seen_by_optuna(path)
    assert [state for _, state in seen] == ["COMPLETE"] * 4 + ["FAIL"]
    # Of the trial in which the text was cut, parameters may be gone that its value stands for.
    known = [params == record.params for (params, _), record in zip(seen, records, strict=False)]
    assert known.count(False) <= 1


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "study.log"
    records = searched(path, 2)
    study = Study(JournalBack(path), RECORD, 2)
    known = path.read_bytes()
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(known) + 10, most))
    try:
        with pytest.raises(InfrastructureError, match="the study cannot be read or written"):
            study.ask()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert path.read_bytes() == known
    assert Study(JournalBack(path), RECORD, 2).ask()[0] == len(records)
