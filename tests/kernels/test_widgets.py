"""Cells with ipywidgets.

What they print into a widget, and the state that the executed notebook keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.kernels.real_kernels import printed, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import JobOutcome, KernelJob

    MakeJob = Callable[..., KernelJob]

PRINTS_INTO_WIDGETS = {
    "Output": ("import ipywidgets\nout = ipywidgets.Output()", "with out: print('hello')"),
    "interact": ("from ipywidgets import interact\ndef f(x): print(x)", "interact(f, x=3);"),
    "decorated": (
        "import ipywidgets\nout = ipywidgets.Output()",
        "@out.capture()\ndef g(): print(1)\ng(); g()",
    ),
}


@pytest.mark.parametrize("way", PRINTS_INTO_WIDGETS)
def test_a_cell_that_prints_into_a_widget_ends(make_job: MakeJob, way: str) -> None:
    # each of these cells hung about every second time: the reply was there, and nobody was woken
    makes, prints = PRINTS_INTO_WIDGETS[way]
    outcome = run(make_job(makes, *[prints] * 12, "print('end')"))

    assert outcome.failure is None
    assert printed(outcome, -1) == "end\n"


RAISES_IN_WIDGETS = {
    "Output": (
        "import ipywidgets\nout = ipywidgets.Output()",
        "with out: raise ValueError('boom')\nprint('on')",
    ),
    "interact": (
        "from ipywidgets import interact\ndef f(x): raise ValueError('boom')",
        "interact(f, x=3); print('on')",
    ),
}


@pytest.mark.parametrize("way", RAISES_IN_WIDGETS)
def test_what_a_widget_shows_of_an_exception_is_a_warning(make_job: MakeJob, way: str) -> None:
    # ipywidgets shows it and goes on, as it does in Jupyter
    outcome = run(make_job(*RAISES_IN_WIDGETS[way], "print('end')"))

    assert outcome.failure is None
    assert printed(outcome, 1) == "on\n"
    assert printed(outcome, 2) == "end\n"
    (warning,) = outcome.warnings
    assert (
        warning
        == "cell 2: an exception was shown in a widget, and the cell went on: ValueError: boom"
    )
    (widget,) = states(outcome, "OutputModel")
    assert widget["outputs"][-1]["ename"] == "ValueError"


def test_an_exception_around_a_widget_is_a_failure(make_job: MakeJob) -> None:
    outcome = run(
        make_job(
            "import ipywidgets\nout = ipywidgets.Output()", "with out: print(1)\nraise KeyError(2)"
        )
    )

    assert outcome.failure is not None
    assert outcome.failure.message == "KeyError: 2"
    assert states(outcome, "OutputModel")[0]["outputs"][0]["text"] == "1\n"


def states(outcome: JobOutcome, model: str) -> list[dict[str, Any]]:
    """The states of the widgets of one model that the notebook keeps."""
    kept = outcome.notebook["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"][
        "state"
    ]
    return [widget["state"] for widget in kept.values() if widget["model_name"] == model]


def test_the_state_of_widgets_is_kept(make_job: MakeJob) -> None:
    shows = "import ipywidgets\nbox = ipywidgets.HTML('<b>result 5</b>')\nbox"
    changes = "box.value = '<b>' + __import__('os').environ['TOKEN']"
    secrets = {"TOKEN": "hunter2-and-more"}
    outcome = run(make_job(shows, changes, secrets=secrets, env=secrets))

    assert [widget["value"] for widget in states(outcome, "HTMLModel")] == ["<b>***"]
    view = outcome.notebook["cells"][0]["outputs"][0]["data"][
        "application/vnd.jupyter.widget-view+json"
    ]
    state = outcome.notebook["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]
    assert view["model_id"] in state["state"]
    nbformat.validate(outcome.notebook)
    assert "widgets" not in run(make_job("1")).notebook["metadata"]


def test_a_widget_keeps_what_was_printed_into_it(make_job: MakeJob) -> None:
    makes = (
        "import ipywidgets, sys\nfrom IPython.display import clear_output\n"
        "out = ipywidgets.Output()"
    )
    prints = (
        "with out:\n    for n in range(50): print(n, flush=True)\n"
        "    print('err', file=sys.stderr)\n    3"
    )
    clears = "with out:\n    clear_output(); print('anew')"
    appends = "out.append_stdout('appended')"
    again = "with out: print('again')"
    kept = run(make_job(makes, prints, "print(len(out.outputs))"))
    later = run(make_job(makes, prints, clears, appends, again))

    texts = [
        (output["name"], output["text"]) for output in states(kept, "OutputModel")[0]["outputs"]
    ]
    assert texts == [("stdout", "".join(f"{n}\n" for n in range(50))), ("stderr", "err\n")]
    assert printed(kept, 2) == "2\n"
    assert (
        "".join(output["text"] for output in states(later, "OutputModel")[0]["outputs"])
        == "anew\nappendedagain\n"
    )


def test_what_does_not_fit_into_a_widget_is_the_cells(make_job: MakeJob) -> None:
    makes = "import ipywidgets\nout = ipywidgets.Output()"
    job = make_job(
        makes, "with out:\n    for n in range(40): print('x' * 100_000, flush=True)\nprint('end')"
    )
    outcome = run(job)

    (captured,) = states(outcome, "OutputModel")[0]["outputs"]
    rest = (job.spill_folder.parent / (outcome.cells[1].spilled or "")).read_text()
    assert len(captured["text"]) + len(rest) == 40 * 100_001 + len("end\n")
    assert len(captured["text"]) < 1_300_000
