"""Seeds in a long notebook."""

from __future__ import annotations

import json
import time

from nbci.lint.randomness import seeds
from nbci.lint.sheet import read_sheet
from nbci.notebook.read import parse_notebook

_STEPS = 1000


def test_many_steps_that_seed_are_looked_at_once_each() -> None:
    drawing = "tf.random.set_seed({0})\nx{0} = tf.random.uniform((3,))"
    cells = [(["imports"], "import tensorflow as tf"), (["step:s0"], drawing.format(0))]
    cells += [([f"step:s{number}", "prev:s0"], drawing.format(number)) for number in range(1, _STEPS)]
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
    sheet = read_sheet(parse_notebook(json.dumps(document).encode(), "n.ipynb"))

    began = time.process_time()
    hits = list(seeds(sheet))
    assert time.process_time() - began < 2  # it takes a tenth; all against all, six times that

    assert [hit.cell for hit in hits] == list(range(2, _STEPS + 2))
    assert hits[0].message.endswith("in step s0 does not reach step last, which draws from that generator")
