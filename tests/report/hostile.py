"""The report of the hostile notebooks in `hostile/`.

Every name and value of their run is hostile, too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.behaviour.difference import differ
from nbci.behaviour.of_runs import StepBehaviour
from nbci.plan.compare import Compared, difference
from nbci.plan.model import PlannedCell
from nbci.records.git_state import GitState
from nbci.records.run_record import (
    Attempt,
    Failure,
    FileRef,
    Metric,
    ParameterValue,
    RunRecord,
    StepRecord,
    Usage,
)
from nbci.report.data.material import Baseline, Material, ShownRun
from nbci.report.render import render_report
from nbci.report.write import write_report
from tests.behaviour.tables import pair_of
from tests.report import report_samples as samples

if TYPE_CHECKING:
    from nbci.plan.model import Plan

NOTEBOOKS = sorted((Path(__file__).parent / "hostile").glob("*.ipynb"))
# Where hostile markup wants to reach; links to linked.example are links that a reader may follow.
OUTSIDE = "outside.example"

_SCRIPT = "<script>alert(1)</script>"
_HANDLER = '" onload="alert(1)'
_STEPS = (
    "../../escaped",
    "a/b",
    _SCRIPT,
    _HANDLER,
    "CON",
    "..",
    "\u202edesrever",
    "__proto__",
    "x" * 300,
)
_DRAWING = f"""<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script>
<image href="https://{OUTSIDE}/a.png"/><rect width="9" height="9" onclick="alert(1)"/></svg>"""
_PICTURES = {
    "cases/good.png": samples.png(),
    "cases/acts.svg": _DRAWING.encode(),
    "cases/entities.svg": b'<!DOCTYPE s [<!ENTITY a "aa">]><svg>&a;</svg>',
    "cases/page.png": f"<html>{_SCRIPT}".encode(),
    "cases/cut.png": samples.png()[:-9],
    "cases/huge.png": samples.png()[:16] + b"\x7f\xff\xff\xff" * 2 + samples.png()[24:],
    "cases/empty.gif": b"",
}
_SHOWN = (
    *_PICTURES,
    _SCRIPT,
    _HANDLER,
    f"https://{OUTSIDE}/a.png",
    "javascript:alert(1).png",
    "data:image/png;base64,AAAA.png",
    "../../../../etc/passwd.png",
    "/etc/passwd.svg",
    "\u202egnp.png",
    "\x00.png",
    "x" * 100_000 + ".png",
    "",
)


def hostile_material() -> Material:
    """A run of the hostile notebooks, compared with a run of them in another order."""
    notebooks = [json.loads(path.read_text()) for path in NOTEBOOKS]
    names = _STEPS[: len(notebooks)]
    record, plan = _run(names, notebooks), _plan(names)
    before = replace(record, run=f"../{_SCRIPT}", params=(), steps=record.steps[::-1])
    return Material(
        run=ShownRun(
            record=record,
            plan=plan,
            notebooks=dict(zip(names, notebooks, strict=True)),
            read_file=_PICTURES.get,
        ),
        behaviours=_behaviours(names),
        baseline=Baseline(
            title=f"run {_SCRIPT}{_HANDLER}",
            run=ShownRun(
                record=before,
                plan=plan,
                notebooks=dict(zip(names, notebooks[1:] + notebooks[:1], strict=True)),
            ),
            difference=difference(
                Compared(record=before, plan=plan),
                Compared(record=record, plan=plan),
                lambda _ref: None,
            ),
        ),
    )


def render_corpus(folder: Path) -> None:
    """Write the report of the hostile notebooks into a folder."""
    write_report(folder, render_report(hostile_material()))


def _behaviours(names: tuple[str, ...]) -> tuple[StepBehaviour, ...]:
    """Sixty cases that broke: enough for a slice, whose column and value are hostile, too."""
    numbers = range(60)
    label, prediction = f"{_SCRIPT}{'y' * 100_000}", f"{_HANDLER}\u202e"
    cases = {
        "id": [f"{_SCRIPT}{number}" for number in numbers],
        "label": [label] * len(numbers),
        "score": [1 - number / 100 for number in numbers],
        "show": [*_SHOWN, *[_SCRIPT] * (len(numbers) - len(_SHOWN))],
        f"{_SCRIPT}column": [f"{_HANDLER}{'z' * 100_000}"] * len(numbers),
    }
    run = {**cases, "prediction": [prediction] * len(numbers)}
    baseline = {**cases, "prediction": [label] * len(numbers)}
    return (
        StepBehaviour(step=names[0], path=_SCRIPT, difference=differ(pair_of(run, baseline))),
        StepBehaviour(step=names[1], path=_HANDLER, problem=f"{_SCRIPT} {_HANDLER}"),
    )


def _plan(names: tuple[str, ...]) -> Plan:
    cell = PlannedCell(role="step", number=1, source=f"'</pre>{_SCRIPT}'")
    steps = [samples.planned(name, cell, after=names[:at][-1:]) for at, name in enumerate(names)]
    return samples.plan(*steps, samples.planned("not-reached/" + _SCRIPT, cell))


def _run(names: tuple[str, ...], notebooks: list[Any]) -> RunRecord:
    steps = [
        _step(name, _attempt(notebook, failed=at == 0))
        for at, (name, notebook) in enumerate(zip(names, notebooks, strict=True))
    ]
    return samples.run(
        *steps,
        result="failed",
        pipeline=f"digits{_SCRIPT}",
        command=("nbci", "run", _SCRIPT, "$(rm -rf /)", "`id`", "\u202e"),
        host=_HANDLER,
        user=_SCRIPT,
        git=GitState(commit=_SCRIPT, branch=f"{_HANDLER}javascript:alert(1)", dirty=True),
        params=(
            ParameterValue(name=_SCRIPT, value={_HANDLER: [_SCRIPT, float("nan")]}, source=_SCRIPT),
            ParameterValue(
                name="url", value="javascript:alert(1)", source="](javascript:alert(1))"
            ),
            ParameterValue(name="note", value="\u202e</pre></details>\x00\ud800", source="../../x"),
        ),
        warnings=(
            _SCRIPT,
            "[x](javascript:alert(1)) ![x](https://outside.example/a.png) @everyone",
        ),
    )


def _attempt(notebook: Any, *, failed: bool) -> Attempt:
    count = sum(cell["cell_type"] == "code" for cell in notebook["cells"])
    cells = [samples.ran(at, _SCRIPT, result="passed") for at in range(1, count + 1)]
    attempt = Attempt(
        number=1,
        result="passed",
        started_utc=_SCRIPT,
        seconds=1.5,
        cells=tuple(cells),
        notebook="../../../escaped.ipynb",
        log=_SCRIPT,
    )
    if not failed:
        return attempt
    failure = Failure(
        kind="exception",
        message=_SCRIPT,
        hint=_HANDLER,
        cell=1,
        first_line=_SCRIPT,
        line=1,
        error=_SCRIPT,
        traceback=f"</pre>{_SCRIPT}",
        log=f"</pre>{_SCRIPT}",
    )
    cells[0] = replace(cells[0], result="failed")
    return replace(attempt, result="failed", failure=failure, cells=tuple(cells))


def _step(name: str, attempt: Attempt) -> StepRecord:
    return StepRecord(
        name=name,
        result=attempt.result,
        reason=_SCRIPT,
        seconds=1.5,
        host=_HANDLER,
        kernel=_SCRIPT,
        kernel_version=_HANDLER,
        params={_SCRIPT: _SCRIPT},
        attempts=(attempt,),
        metrics=(Metric(name=f"{name}/{_SCRIPT}", value=float("nan"), source=_SCRIPT),),
        deps=(FileRef(path=f"../../{_SCRIPT}", digest=_HANDLER, bytes=1),),
        outs=(
            FileRef(path="/etc/passwd", digest="javascript:alert(1)", bytes=10**18, files=10**9),
        ),
        distributions={_SCRIPT: _HANDLER},
        usage=Usage(cpu_seconds=1e300, peak_memory_bytes=1, gpu=_SCRIPT),
        warnings=(_SCRIPT,),
    )
