"""Cells with ipywidgets: what they print into a widget, and the state that the executed notebook keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from real_kernels import printed, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import KernelJob

    MakeJob = Callable[..., KernelJob]

PRINTS_INTO_WIDGETS = {
    "Output": ("import ipywidgets\nout = ipywidgets.Output()", "with out: print('hello')"),
    "interact": ("from ipywidgets import interact\ndef f(x): print(x)", "interact(f, x=3);"),
    "decorated": ("import ipywidgets\nout = ipywidgets.Output()", "@out.capture()\ndef g(): print(1)\ng(); g()"),
}


@pytest.mark.parametrize("way", PRINTS_INTO_WIDGETS)
def test_a_cell_that_prints_into_a_widget_ends(make_job: MakeJob, way: str) -> None:
    # each of these cells hung about every second time: the reply was there, and nobody was woken
    makes, prints = PRINTS_INTO_WIDGETS[way]
    outcome = run(make_job(makes, *[prints] * 12, "print('end')"))

    assert outcome.failure is None
    assert printed(outcome, -1) == "end\n"
