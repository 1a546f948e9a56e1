"""Studies in a journal, in SQLite and in PostgreSQL."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from typing import TYPE_CHECKING

import pytest

from nbci.app.sweeps.claims import Claims
from nbci.app.sweeps.study_backs import DatabaseBack, JournalBack, database_of
from nbci.config import Project, project_of
from nbci.errors import InfrastructureError, IntegrityError, UsageError
from tests.app.study_contract import SharedContract, StudyContract, begin, carry_out
from tests.support.postgres import Server, postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nbci.app.sweeps.study_backs import Back

_GRACE_SECONDS = 2


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as found:
        yield found


@pytest.fixture
def opened() -> Iterator[list[DatabaseBack]]:
    """The databases that a test opens, which are closed after it."""
    backs: list[DatabaseBack] = []
    yield backs
    for back in backs:
        back.close()


class TestJournal(StudyContract):
    @pytest.fixture
    def open_back(self, tmp_path: Path) -> Callable[[], Back]:
        return lambda: JournalBack(tmp_path / "study.log")


class TestSqlite(SharedContract):
    @pytest.fixture
    def open_back(self, tmp_path: Path, opened: list[DatabaseBack]) -> Callable[[], Back]:
        return lambda: noted(opened, f"sqlite:///{tmp_path / 'studies.db'}")


@pytest.mark.needs("postgresql")
class TestPostgresql(SharedContract):
    @pytest.fixture
    def open_back(self, server: Server, opened: list[DatabaseBack]) -> Callable[[], Back]:
        url = server.url(f"d{secrets.token_hex(4)}")
        return lambda: noted(opened, url)


def noted(opened: list[DatabaseBack], url: str) -> DatabaseBack:
    opened.append(DatabaseBack(url, _GRACE_SECONDS))
    return opened[-1]


@pytest.mark.needs("postgresql")
def test_a_server_that_went_away_is_trouble_of_the_machine_and_nothing_is_lost(
    server: Server, tmp_path: Path, opened: list[DatabaseBack]
) -> None:
    url = server.url(f"d{secrets.token_hex(4)}")
    trials = begin(noted(opened, url), tmp_path, "s", trials=9)
    going_on = trials.begin()
    assert going_on is not None

    server.stop()
    with pytest.raises(InfrastructureError) as raised:
        carry_out(trials)
    server.start()

    assert "the database of the study does not do its work" in raised.value.message
    assert "nbci sweep resume" in str(raised.value.hint)
    assert "quagga" not in f"{raised.value.message} {raised.value.where} {raised.value.hint}"
    again = begin(noted(opened, url), tmp_path, "s", trials=9)
    assert carry_out(again).params == going_on.params


def test_what_is_wrong_with_a_database_is_said_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database at all, but a text that is long enough")
    cases: dict[str, tuple[type[Exception], str]] = {
        "postgresql://u:geheim-1@127.0.0.1:9/d": (InfrastructureError, "refused"),
        "nothing://u:geheim-1@h/d": (UsageError, "no URL of a database"),
        "mysql://u:geheim-1@127.0.0.1:9/d": (UsageError, "driver"),
        f"sqlite:///{tmp_path / 'file'}": (InfrastructureError, "not a database"),
        f"sqlite:///{tmp_path / 'none/d'}": (InfrastructureError, "unable to open"),
    }
    for url, (kind, text) in cases.items():
        with pytest.raises(kind) as raised:
            begin(DatabaseBack(url), tmp_path, "s", trials=1)
        told = f"{raised.value} {raised.value.hint}"  # type: ignore[attr-defined]
        assert text in told
        assert "geheim" not in told


def test_a_journal_that_was_damaged_is_refused_by_its_name(tmp_path: Path) -> None:
    journal = tmp_path / "study.log"
    carry_out(begin(JournalBack(journal), tmp_path, "s", trials=9))
    lines = journal.read_bytes().splitlines(keepends=True)
    for damage in (b"garbage\n", b"{}\n", b'{"op_code": 77}\n', b"\0\0\0\n"):
        journal.write_bytes(b"".join([*lines[:2], damage, *lines[2:]]))
        with pytest.raises(IntegrityError, match="no journal of Optuna's") as raised:
            begin(JournalBack(journal), tmp_path, "s", trials=9)
        assert str(journal) in str(raised.value)


def test_a_locked_database_and_one_of_another_optuna_are_refused(
    tmp_path: Path, opened: list[DatabaseBack]
) -> None:
    path = tmp_path / "studies.db"
    back = noted(opened, f"sqlite:///{path}")
    trials = begin(back, tmp_path, "s", trials=9)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InfrastructureError, match="database is locked"):
            trials.begin()
        other.rollback()
        assert trials.begin() is not None
        other.execute("UPDATE version_info SET schema_version = 99")
        other.execute("UPDATE alembic_version SET version_num = 'v99.0.0'")
        other.commit()
    with pytest.raises(UsageError, match="another version of Optuna"):
        begin(back, tmp_path, "s", trials=9)


def test_the_environment_names_the_database_and_the_file_no_password(tmp_path: Path) -> None:
    project = Project(root=tmp_path, sweep_storage="sqlite:///studies.db")
    assert database_of(Project(root=tmp_path), {}) is None
    found = database_of(project, {})
    assert found is not None
    assert found.shown == f"sqlite:///{tmp_path / 'studies.db'}"
    given = database_of(project, {"NBCI_SWEEP_STORAGE": "postgresql://u:abc@h/d"})
    assert given is not None
    assert given.shown == "postgresql://u:***@h/d"
    for url in ("postgresql://u:secret@h/d", "postgresql://u@h/d?password=secret"):
        with pytest.raises(UsageError, match="must not be in git"):
            project_of(tmp_path, f'[tool.nbci]\nsweep_storage = "{url}"\n')
    with pytest.raises(UsageError, match="is no URL"):
        project_of(tmp_path, '[tool.nbci]\nsweep_storage = "studies.db"\n')


def test_a_claim_is_taken_over_once_its_holder_stands_still(tmp_path: Path) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'c.db'}")
    claims = Claims(engine, 10.0, lambda _: None)
    holder, waiting, late = (claims.claim("key") for _ in range(3))
    assert holder.take()
    assert not waiting.take(lambda: 0.0)
    assert holder.renew()
    assert not waiting.take(lambda: 9.0)
    assert not waiting.take(lambda: 19.0)
    assert waiting.take(lambda: 19.5)
    assert not late.take(lambda: 100.0)
    assert not holder.renew()
    holder.release()
    assert waiting.renew()
    waiting.release()
    assert late.take()
    late.mark_never_kept()
    assert waiting.take()
    assert waiting.is_never_kept
    claims.engine.dispose()
