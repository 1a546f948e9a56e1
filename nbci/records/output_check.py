"""What came of comparing a step's outputs with those that are committed with its notebook."""

from __future__ import annotations

from msgspec import Struct


class OutputDifference(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one cell shows otherwise than its notebook says.

    `kind` is a stream's name, a MIME type or a part of an error; `lines` are a unified diff without
    file names, `-` what is stored.
    """

    cell: int
    first_line: str
    kind: str
    message: str
    lines: tuple[str, ...] = ()


class OutputCheck(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How many cells were compared, and what differs.

    `left_out` counts those that tags or comments of nbval leave out. `reason` says why nothing was
    compared.
    """

    compared: int = 0
    left_out: int = 0
    differences: tuple[OutputDifference, ...] = ()
    reason: str | None = None

    @property
    def cells(self) -> tuple[int, ...]:
        """The numbers of the cells that differ."""
        return tuple(dict.fromkeys(difference.cell for difference in self.differences))
