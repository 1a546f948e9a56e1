"""What marks of nbval mean here is what they mean to nbval."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest

from nbci.notebook.cells import Cell
from nbci.notebook.nbval_marks import TAGS, compares_outputs, may_fail

_TAGS = (*TAGS, "raises-exception", "skip", "NBVAL_SKIP")
_COMMENTS = (
    "# NBVAL_IGNORE_OUTPUT",
    "  ### NBVAL_CHECK_OUTPUT  ",
    "#NBVAL_SKIP",
    "# PYTEST_VALIDATE_IGNORE_OUTPUT",
    "# nbval_skip",
    "# NBVAL_SKIP this",
    "x = 1  # NBVAL_SKIP",
)
# nbval's module imports pytest's plugins, and warns of marks that contradict each other.
_ASK_NBVAL = """\
import json, sys, warnings
from nbval.plugin import find_comment_markers, find_metadata_tags
warnings.simplefilter("ignore")
answers = []
for tags, source in json.load(sys.stdin):
    options = {"check": True, **dict(find_metadata_tags({"tags": tags}))}
    options |= dict(find_comment_markers(source))
    answers.append(options)
json.dump(answers, sys.stdout)
"""


def _cells() -> list[tuple[list[str], str]]:
    pairs = [list(tags) for tags in itertools.permutations(_TAGS, 2)]
    cells = [(tags, "print(1)") for tags in ([], *pairs)]
    for comments in itertools.permutations(_COMMENTS, 2):
        for tag in ("nbval-check-output", "nbval-ignore-output", "other"):
            cells.append(([tag], "\n".join((*comments, "print(1)"))))
    return cells


def test_marks_mean_what_they_mean_to_nbval() -> None:
    cells = _cells()
    done = subprocess.run(
        [sys.executable, "-c", _ASK_NBVAL],
        input=json.dumps(cells),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    for (tags, source), options in zip(cells, json.loads(done.stdout), strict=True):
        cell = Cell(number=1, kind="code", source=source, tags=tuple(tags))
        compared = options["check"] and not options.get("skip", False)
        assert compares_outputs(cell) == compared, (tags, source)
        # a comment does not let a cell fail here: the tag does
        if "EXCEPTION" not in source:
            assert may_fail(tags) == options.get("check_exception", False), tags


@pytest.mark.parametrize("tag", ["raises-exception", "nbval-raises-exception"])
def test_two_tags_let_a_cell_fail(tag: str) -> None:
    assert may_fail(["other", tag])
    assert not may_fail(["other"])
