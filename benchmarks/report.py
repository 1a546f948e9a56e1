"""Reports: of a notebook of 30 cells beside nbconvert's page, and of 1,000 steps."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong, compared, figure, seconds_of, take_turns
from benchmarks.projects import chain, newest_run, write_notebook
from benchmarks.surroundings import nbci, nbconvert, of_nbci, of_others

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measure import Bench, Row

CELLS = 30
_KINDS = (
    "import pandas as pd\npd.DataFrame({f'c{n}': range(20) for n in range(8)})",
    "import matplotlib.pyplot as plt\nplt.plot(range(50))\nplt.show()",
    "for n in range(60): print(f'epoch {n}: loss {1 / (n + 1):.4f}')",
    "{'accuracy': 0.93, 'loss': 0.2}",
    "total = sum(n * n for n in range(1000))",
)
_PICTURES = (".png", ".svg", ".jpg")


def rows(bench: Bench) -> Iterator[Row]:
    """Whole commands; sizes; and how long Chromium takes to show the page, where it is there."""
    yield from _of_cells(bench)
    yield from _of_steps(bench)


def _of_cells(bench: Bench) -> Iterator[Row]:
    project, env, others = bench.folder / "cells", of_nbci(bench.folder), of_others(bench.folder)
    (project / ".git").mkdir(parents=True)
    write_notebook(
        project / "n.ipynb", [(f"# {n}\n{_KINDS[n % len(_KINDS)]}", ()) for n in range(CELLS)]
    )
    for _ in range(2):  # so that there is something to compare with
        seconds_of(nbci("run", "n.ipynb", "--force"), cwd=project, env=env, expect="1 passed")
    run = newest_run(project)
    executed = next(run.glob("steps/*/notebook.ipynb"))
    page = bench.folder / "page.html"
    ways = {
        "nbci": partial(seconds_of, nbci("report"), cwd=project, env=env, expect="index.html"),
        "nbconvert": partial(
            seconds_of,
            [
                nbconvert(bench.peers) / "jupyter-nbconvert",
                "--to",
                "html",
                "--output",
                page,
                executed,
            ],
            cwd=project,
            env=others,
        ),
    }
    seen = take_turns(ways, rounds=bench.pick(7, 2))
    yield compared(
        f"nbci report, {CELLS} cells, all pages",
        seen["nbci"],
        "nbconvert, one page",
        seen["nbconvert"],
        figure_at_most=1.0,
    )
    sizes = ([_bytes_without_pictures(run / "report")], [float(page.stat().st_size)])
    yield compared(
        f"report of {CELLS} cells, without its pictures",
        sizes[0],
        "nbconvert's, with them",
        sizes[1],
        figure_at_most=200_000,
        unit="bytes",
    )


def _of_steps(bench: Bench) -> Iterator[Row]:
    steps = bench.pick(1000, 100)
    project, env = bench.folder / "steps", of_nbci(bench.folder)
    chain(project, steps)
    seconds_of(nbci("run", "chain.ipynb"), cwd=project, env=env, expect=f"{steps} passed")
    report = partial(seconds_of, nbci("report"), cwd=project, env=env, expect="index.html")
    yield figure(
        f"nbci report, {steps:,} steps", [report() for _ in range(bench.pick(3, 1))], at_most=20.0
    )
    index = newest_run(project) / "report/index.html"
    yield figure(
        f"index of {steps:,} steps shown by Chromium",
        _shown_seconds(index, bench.pick(5, 2)),
        at_most=1.0,
    )


def _bytes_without_pictures(report: Path) -> float:
    return float(
        sum(
            p.stat().st_size for p in report.rglob("*") if p.is_file() and p.suffix not in _PICTURES
        )
    )


def _shown_seconds(page: Path, rounds: int) -> list[float]:
    """Seconds from asking for the page until it and its pictures are there.

    Each time the page opens in a new window.
    """
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        for _ in range(rounds + 1):
            window = browser.new_page()
            began = time.perf_counter()
            window.goto(page.as_uri(), wait_until="load")
            if not window.locator("h1").is_visible():
                raise Wrong(f"{page} shows nothing")
            found.append(time.perf_counter() - began)
            window.close()
        browser.close()
    return found[1:]
