"""Notebooks and pipeline files for the tests of the rules, and what the rules find in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbci.lint.check import check_notebook, check_pipeline

if TYPE_CHECKING:
    from nbci.lint.finding import Finding


def notebook(*cells: tuple[str, str], **changes: Any) -> bytes:
    """A notebook of (tags, source) cells; the tag `markdown` makes it text; `counts`, `outputs`:
    one for each cell.
    """
    counts = changes.get("counts", [None] * len(cells))
    outputs = changes.get("outputs", [[]] * len(cells))
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"language_info": {"name": changes.get("language", "python")}},
            "cells": [
                {
                    "cell_type": "markdown" if "markdown" in tags.split() else "code",
                    "metadata": {"tags": [tag for tag in tags.split() if tag != "markdown"]},
                    "source": source,
                    "execution_count": count,
                    "outputs": output,
                }
                for (tags, source), count, output in zip(cells, counts, outputs, strict=True)
            ],
        },
        indent=1,
    ).encode()


def findings_of(data: bytes, **options: Any) -> list[Finding]:
    return list(check_notebook(data, "notebooks/a.ipynb", **options).findings)


def places(data: bytes, rule: str) -> list[tuple[int | None, int | None]]:
    return [(finding.cell, finding.line) for finding in findings_of(data) if finding.rule == rule]


def pipeline_findings(text: str, notebooks: dict[str, bytes]) -> list[Finding]:
    read = {path: check_notebook(data, path).tagged for path, data in notebooks.items()}
    return list(
        check_pipeline(
            text.encode(), "pipelines/p.yaml", exists=notebooks.__contains__, notebooks=read
        )
    )


PARTS = {"a.ipynb": notebook(("parameters", "C = 1"), ("", "accuracy = C\nprint(accuracy)"))}
FINE = 'params: {C: 1}\nsteps:\n  a:\n    notebook: a.ipynb\n    params: {C: "${C}"}\n'
