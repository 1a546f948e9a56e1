"""What a rule finds, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nbci.errors import NbciError

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One place that breaks a rule.

    `cell` and `line` count from 1; without `cell`, `line` is the file's own.
    """

    message: str
    hint: str | None = None
    cell: int | None = None
    line: int | None = None
    column: int | None = None

    @classmethod
    def of(cls, error: NbciError) -> Hit:
        """The place that an error names."""
        where = error.where
        if where is None:
            return cls(message=error.message, hint=error.hint)
        return cls(
            message=error.message,
            hint=error.hint,
            cell=where.cell,
            line=where.line,
            column=where.column,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A hit with its rule.

    `line` counts within the cell where there is one, `file_line` within the file's text.
    """

    rule: str
    severity: Severity
    path: str
    message: str
    hint: str | None = None
    cell: int | None = None
    line: int | None = None
    column: int | None = None
    file_line: int | None = None
