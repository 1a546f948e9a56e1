"""Who of several processes does what only one of them may do, in a table of their database.

No clocks are compared, which differ between machines: whoever holds a claim counts it up, and one
that was seen to stand still for long enough is another's to take.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_NEVER_KEPT = "never kept"


class Claims:
    """The table `nbci_claims`: what is claimed, by whom, and how often that was said.

    `patience_seconds` is for how long a claim must stand still to be that of a dead process;
    `beat_seconds` is how often it is to be renewed. `explain` gives errors of the database as
    people understand them.
    """

    def __init__(
        self,
        engine: Any,
        patience_seconds: float,
        explain: Callable[[Exception], Exception | None],
    ) -> None:
        import sqlalchemy as sql

        self.engine = engine
        self.patience_seconds = patience_seconds
        self.beat_seconds = patience_seconds / 4
        self._explain = explain
        self.table = sql.Table(
            "nbci_claims",
            sql.MetaData(),
            sql.Column("name", sql.String(200), primary_key=True),
            sql.Column("owner", sql.String(32), nullable=False),
            sql.Column("beats", sql.Integer, nullable=False),
        )
        self.table.create(engine, checkfirst=True)

    def claim(self, name: str) -> Claim:
        """A claim of that name, which nobody has by that."""
        return Claim(self, name)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        """A connection on which all is done, or nothing."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except Exception as error:
            explained = self._explain(error)
            if explained is None:
                raise
            raise explained from error


class Claim:
    """One claim as one process makes it.

    `is_never_kept`: whoever had it found that what it is a claim to is of no use to others.
    """

    def __init__(self, claims: Claims, name: str) -> None:
        self._claims = claims
        self._name = name
        self._owner = secrets.token_hex(16)
        self._seen: tuple[str, int] | None = None
        self._seen_at = 0.0
        self.is_never_kept = False

    def take(self, clock: Callable[[], float] = time.monotonic) -> bool:
        """Claim it, if nobody else does who is alive."""
        import sqlalchemy as sql

        table = self._claims.table
        with self._claims.transaction() as connection:
            row = connection.execute(
                sql.select(table.c.owner, table.c.beats).where(table.c.name == self._name)
            ).first()
            if row is None:
                return self._insert(connection)
            self.is_never_kept = row.owner == _NEVER_KEPT
            if self.is_never_kept:
                return True
            if self._stands_still((row.owner, row.beats), clock()):
                return self._count_up(connection, row.owner, row.beats)
        return False

    def _insert(self, connection: Any) -> bool:
        import sqlalchemy as sql

        values = {"name": self._name, "owner": self._owner, "beats": 0}
        # Of two that insert it at once, the key of the table lets one through.
        try:
            with connection.begin_nested():
                connection.execute(self._claims.table.insert().values(values))
        except sql.exc.IntegrityError:
            return False
        return True

    def _stands_still(self, now: tuple[str, int], seconds: float) -> bool:
        # It has been counted up, or is another one's: the wait begins anew.
        if now != self._seen:
            self._seen, self._seen_at = now, seconds
        return seconds - self._seen_at > self._claims.patience_seconds

    def renew(self) -> bool:
        """Say that it still holds; False where another process has taken it for a dead one's."""
        import sqlalchemy as sql

        table = self._claims.table
        with self._claims.transaction() as connection:
            beats = connection.execute(
                sql.select(table.c.beats).where(
                    table.c.name == self._name, table.c.owner == self._owner
                )
            ).scalar()
            return beats is not None and self._count_up(connection, self._owner, beats)

    def release(self) -> None:
        """Let others claim it."""
        table = self._claims.table
        with self._claims.transaction() as connection:
            connection.execute(
                table.delete().where(table.c.name == self._name, table.c.owner == self._owner)
            )

    def mark_never_kept(self) -> None:
        """Let nobody wait for it again."""
        table = self._claims.table
        mine = (table.c.name == self._name) & (table.c.owner == self._owner)
        with self._claims.transaction() as connection:
            connection.execute(table.update().where(mine).values(owner=_NEVER_KEPT))

    def _count_up(self, connection: Any, owner: str, beats: int) -> bool:
        """Write it down as ours, if it still is as it was read."""
        table = self._claims.table
        done = connection.execute(
            table.update()
            .where(table.c.name == self._name, table.c.owner == owner, table.c.beats == beats)
            .values(owner=self._owner, beats=beats + 1)
        )
        return bool(done.rowcount == 1)
