"""A build's log is the same text however it is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from nbci.jenkins.controller import Log
from nbci.jenkins.log import LogReader

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOTE = "\x1b[8mha:////4H+LCAAAAAAAAP9b85aBtbiIQTGj\x1b[0m"
_SAID = (
    f"Started by user {_NOTE}grün\r\n{_NOTE}[Pipeline] node\n\x1b[31mred\x1b[0m 10 %\r 20 %\r\n"
    f"There are no nodes with the label \u2018{_NOTE}tpu\u2019\n"
    f"{_NOTE}ERROR: stage a ended with exit code 4: infrastructure: try again\n\x1b[8m"
)
_SHOWN = (
    "Started by user grün\n[Pipeline] node\n\x1b[31mred\x1b[0m 10 %\r 20 %\n"
    "There are no nodes with the label \u2018tpu\u2019\n"
    "ERROR: stage a ended with exit code 4: infrastructure: try again\n\x1b[8m"
)


def _read(cuts: Sequence[int]) -> tuple[str, LogReader]:
    whole, log, said = _SAID.encode(), LogReader(), ""
    for begin, end in zip((0, *cuts), (*cuts, len(whole)), strict=True):
        said += log.take(Log(data=whole[begin:end], next_offset=end, more=end < len(whole)))
    return said, log


@given(st.lists(st.integers(1, len(_SAID.encode()) - 1), unique=True).map(sorted))
def test_notes_are_taken_out_wherever_the_log_is_cut(cuts: list[int]) -> None:
    said, log = _read(cuts)
    assert said == _SHOWN
    assert log.missing_label == "tpu"
    assert log.infrastructure == "stage a ended with exit code 4: infrastructure: try again"
