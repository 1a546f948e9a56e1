"""Seeds in a long notebook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nbci.lint.notebook_facts import read_facts
from nbci.lint.randomness import seeds
from nbci.notebook.read import parse_notebook
from tests.support.work import lines_run

if TYPE_CHECKING:
    from nbci.lint.notebook_facts import NotebookFacts


def _notebook(steps: int) -> NotebookFacts:
    """Of a notebook in which each step seeds a generator and draws from it, but the last, which
    only draws.
    """
    drawing = "tf.random.set_seed({0})\nx{0} = tf.random.uniform((3,))"
    cells = [(["imports"], "import tensorflow as tf"), (["step:s0"], drawing.format(0))]
    cells += [
        ([f"step:s{number}", "prev:s0"], drawing.format(number)) for number in range(1, steps)
    ]
    cells.append((["step:last", "prev:s0"], "y = tf.random.uniform((3,))"))
    document = {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"language_info": {"name": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "metadata": {"tags": tags},
                "source": source,
                "execution_count": None,
                "outputs": [],
            }
            for tags, source in cells
        ],
    }
    return read_facts(parse_notebook(json.dumps(document).encode(), "n.ipynb"))


def test_many_steps_that_seed_are_looked_at_once_each() -> None:
    few, many = _notebook(50), _notebook(200)
    assert lines_run(lambda: list(seeds(many))) < 6 * lines_run(
        lambda: list(seeds(few))
    )  # all against all: 16

    hits = list(seeds(many))
    assert [hit.cell for hit in hits] == list(range(2, 202))
    assert hits[0].message.endswith(
        "in step s0 does not reach step last, which draws from that generator"
    )
