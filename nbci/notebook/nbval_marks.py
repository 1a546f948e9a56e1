"""What nbval's tags and comments say of a cell: whether its outputs are compared, and may fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.notebook.cells import Cell

TAGS = (
    "nbval-ignore-output",
    "nbval-check-output",
    "nbval-raises-exception",
    "nbval-skip",
)

# As `comment_markers` and `metadata_tags` of nbval 0.11 have them; its module imports pytest, which
# a plan has no use for.
_COMPARED = {
    "nbval-ignore-output": False,
    "pytest-validate-ignore-output": False,
    "nbval-check-output": True,
}
_MAY_FAIL = frozenset({"raises-exception", "nbval-raises-exception"})


def may_fail(tags: Iterable[str]) -> bool:
    """Whether a cell with these tags may raise."""
    return not _MAY_FAIL.isdisjoint(tags)


def compares_outputs(cell: Cell) -> bool:
    """Whether nbval compares the outputs of the cell with those that are stored.

    Of several marks of one kind the last holds, and comments are stronger than tags.
    """
    comments = list(_comment_marks(cell.source))
    if "nbval-skip" in cell.tags or "nbval-skip" in comments:
        return False
    compared = True
    for mark in (*cell.tags, *comments):
        compared = _COMPARED.get(mark, compared)
    return compared


def _comment_marks(source: str) -> Iterable[str]:
    """The comments of the source, spelt as tags are: `# NBVAL_SKIP` is `nbval-skip`."""
    for line in map(str.strip, source.splitlines()):
        comment = line.lstrip("#").strip()
        # nbval knows its comments in capital letters only
        if line.startswith("#") and comment.isupper():
            yield comment.lower().replace("_", "-")
