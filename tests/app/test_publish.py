"""What a run does while it waits for kernels, for its report to be there soon after."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from nbci.app.publish import prepare_publishing
from nbci.plan.model import Plan, PlannedStep
steps = tuple(PlannedStep(name=name, notebook="n.ipynb", kernel="k", language="python", cells=()) \
for name in "ab")
parts = list(prepare_publishing(Plan(pipeline="p", target="n.ipynb", steps=steps)))
before = set(sys.modules)
import nbci.engine.merged, nbci.report.render, nbci.report.write, \
grandalf.layouts, pygments.lexers.python
print(len(parts), *sorted(set(sys.modules) - before))
"""


def test_all_that_a_report_needs_is_there_ahead() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    parts, *missing = done.stdout.split()
    assert int(parts) > 5
    assert missing == []
