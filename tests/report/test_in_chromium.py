"""The report in a real browser, under the policy that Jenkins serves a build's files with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from nbci.pipeline.rules import DeclaredMetric
from nbci.records.run_record import Metric, ParameterValue, Scrap, StepRecord
from nbci.report.data.many_runs import compare_runs
from nbci.report.data.material import Material, ShownRun
from nbci.report.pages.many_page import render_many_runs
from nbci.report.render import render_report
from nbci.report.write import write_report
from tests.report import report_samples as samples
from tests.report.hostile import render_corpus
from tests.report.pages.test_notebook_text import material
from tests.report.report_samples import PNG, charted
from tests.report.test_render import RUNS
from tests.support.browser import SCREENSHOTS, WIDTHS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Reader, Reading

pytestmark = pytest.mark.needs("chromium")


_TEXT = (
    """# A title

| a | long | table |
|---|---:|---|
"""
    f"| {'wide ' * 30} | 1 | {'x' * 60} |\n\n"
    f"""```
{"a drawing of many characters " * 9}
```

- a list
  - with `{"code" * 40}`

      {"deep code " * 20}

## A section $x^2$

![a plot](data:image/png;base64,{PNG})
"""
)
SHOWN = {
    **RUNS,
    "charted": charted(),
    "text": material((1, _TEXT), (15, "Between."), (26, "## Fit"), (27, f"### {'long' * 60}")),
}


@pytest.fixture(params=SHOWN)
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / str(request.param)
    write_report(folder, render_report(SHOWN[request.param]))
    return folder


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """The page of 30 runs, with texts as long as they may be."""
    shown = []
    for at in range(30):
        roc = {"fpr": [0, 0.2, 1], "tpr": [0, 0.3 + at / 50, 1]}
        step = StepRecord(
            name="fit",
            result="passed",
            metrics=(Metric(name="auc", value=at / 30, source=""),),
            scraps=(Scrap(name="roc", data=roc),),
        )
        params = (
            ParameterValue(name="C", value=at, source="-p"),
            ParameterValue(name="of_a_long_name" * 4, value=f"{at} {'long ' * 9}", source="-p"),
            ParameterValue(name="alike", value="long " * 40, source="-p"),
        )
        record = samples.run(step, run=f"20260101-{at:06}-aaaaaaa", params=params)
        shown.append(ShownRun(record=record, plan=samples.plan(), notebooks={}))
    declared = {"digits": {"auc": DeclaredMetric(direction="up")}}
    runs = compare_runs([one.record for one in shown], declared, {"R": "it is damaged"})
    folder = tmp_path / "many"
    write_report(folder, render_many_runs(runs, shown, {}))
    return folder


def test_the_page_of_many_runs_is_read_by_everybody(many: Path, reader: Reader) -> None:
    for dark in (False, True):
        reading = reader.read(many, dark=dark)
        for width in WIDTHS:
            reading.page.set_viewport_size({"width": width, "height": 900})
            assert faults(reading) == [], f"{width} pixels"
        assert reader.serious_faults(reader.read_plain(many, dark=dark)) == []


def pages_of(folder: Path) -> list[str]:
    """The index, and of many steps' pages the last."""
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.html"))
    return found[:1] + found[1:][-5:]


def faults(reading: Reading) -> list[str]:
    """What a reviewer would stumble over."""
    origin = "/".join(reading.page.url.split("/")[:3]) + "/"
    outside = [url for url in reading.requests if not url.startswith(origin)]
    return [*reading.complaints, *outside, *reading.broken_images(), *reading.overflowing()]


def test_pages_are_shown_whole_under_jenkins_policy(report: Path, reader: Reader) -> None:
    for page in pages_of(report):
        reading = reader.read(report, page)
        for width in WIDTHS:
            reading.page.set_viewport_size({"width": width, "height": 900})
            assert faults(reading) == [], f"{page} at {width} pixels"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_keeps_people_from_reading(report: Path, reader: Reader, *, dark: bool) -> None:
    for page in pages_of(report):
        reading = reader.read_plain(report, page, dark=dark)
        assert reader.serious_faults(reading) == [], page


def test_the_main_pages_are_kept_as_pictures(report: Path, reader: Reader) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for dark in (False, True):
        reading = reader.read(report, dark=dark)
        for width in WIDTHS:
            reading.page.set_viewport_size({"width": width, "height": 900})
            place = SCREENSHOTS / f"{report.name}-{width}-{'dark' if dark else 'light'}.png"
            reading.page.screenshot(path=place, full_page=True)
            assert place.stat().st_size > 10_000


def wide() -> Material:
    """Steps side by side, and a parameter whose name and source are long."""
    names = [f"train-a-model-with-{kernel}" for kernel in ("rbf", "poly", "linear", "sigmoid")]
    plan = samples.plan(
        samples.planned("prepare"), *(samples.planned(name, after=("prepare",)) for name in names)
    )
    steps = [StepRecord(name=name, result="passed", seconds=1.0) for name in ("prepare", *names)]
    value = ParameterValue(
        name="learning_rate_schedule_of_the_optimizer",
        value={"warmup": list(range(20)), "decay": "cosine"},
        source="environment NBCI_PARAM_learning_rate_schedule_of_the_optimizer",
    )
    record = samples.run(*steps, params=(value,))
    return Material(run=ShownRun(record=record, plan=plan, notebooks={}))


def test_a_phone_shows_tables_whole_and_says_that_the_graph_scrolls(
    tmp_path: Path, reader: Reader
) -> None:
    write_report(tmp_path, render_report(wide()))
    page = reader.read_plain(tmp_path, width=390).page
    cut: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('.scroll')]
            .filter(box => box.scrollWidth > box.clientWidth)
            .map(box => box.getAttribute('aria-label'))"""
    )
    assert cut == ["Graph of the steps"]
    hint = page.get_by_text("The graph scrolls sideways.")
    assert hint.is_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    assert not hint.is_visible()


def test_a_fold_opens_and_links_lead_on_without_scripts(report: Path, reader: Reader) -> None:
    page = reader.read(report).page
    link = page.locator("main a[href^='steps/']").first
    link.click()
    assert page.url.partition("#")[0].endswith(".html")
    assert "/steps/" in page.url
    page.locator("nav a[rel=up]").click()
    assert page.url.endswith("index.html")


def test_hostile_notebooks_do_nothing(tmp_path: Path, reader: Reader) -> None:
    """Not even without the policy: the report is opened from disk, too."""
    render_corpus(tmp_path)
    for page in pages_of(tmp_path):
        guarded = reader.read(tmp_path, quote(page))
        assert faults(guarded) == [], page
        plain = reader.read_plain(tmp_path, quote(page))
        assert faults(plain) == [], page
        for reading in (guarded, plain):
            reading.page.close()


def test_drawings_of_hostile_notebooks_do_nothing_by_themselves(
    tmp_path: Path, reader: Reader
) -> None:
    render_corpus(tmp_path)
    # Most steps have the same drawings: what their bytes do is seen once.
    drawings = {path.read_bytes(): path for path in sorted(tmp_path.rglob("*.svg"))}
    assert drawings
    for drawing in [str(path.relative_to(tmp_path)) for path in drawings.values()]:
        reading = reader.read_plain(tmp_path, quote(drawing))
        assert (reading.complaints, len(reading.requests)) == ([], 1), drawing
        reading.page.close()


def test_these_checks_see_what_is_wrong(tmp_path: Path, reader: Reader) -> None:
    (tmp_path / "index.html").write_text(
        "<!doctype html><title>t</title><body style='color: red'><script>alert(1)</script>"
        "<img src='https://example.com/a.png'><img src='data:image/png;base64,AAAA'>"
        "<img src='gone.png'>"
        "<p><span class=x>" + "w" * 3000 + "</span></p>"
    )
    reading = reader.read(tmp_path)
    found = " ".join(faults(reading))

    for part in (
        "inline style",
        "sandboxed",
        "https://example.com/a.png",
        "data:image",
        "gone.png",
        'class="x"',
    ):
        assert part in found, part
    assert any("image-alt" in fault for fault in reader.serious_faults(reader.read_plain(tmp_path)))
