from __future__ import annotations

import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nbci.plan.compare import Compared, difference
from nbci.report.data.material import Baseline, Material, ShownRun
from nbci.report.render import render_report
from tests.report import report_samples as samples
from tests.report.report_pages import pages

PAGE = "steps/models__train.html"
OTHER = base64.b64encode(samples.png(grey=3)).decode()


def changed_notebook() -> dict[str, Any]:
    """The notebook of the sample as an earlier run had executed it."""
    cells = [dict(cell) for cell in samples.TRAIN_NOTEBOOK["cells"]]
    cells[0] = {**cells[0], "source": "# Training\n\nAs **always**.\n"}
    cells[1] = samples.code_cell("C = 1")
    cells[3] = samples.code_cell(
        "model = SVC()\nmodel.fit(X, y)  # <b>not bold</b>",
        samples.shown({"text/html": samples.FRAME, "text/plain": "  digit count\n0 zero 177"}),
        samples.stream(
            "\x1b[31mred\x1b[0m and \x1b[1;38;5;34mgreen\x1b[0m\n 10%\r100%\n<X at 0x7f0011223344>"
        ),
    )
    cells[4] = samples.code_cell(cells[4]["source"], samples.shown({"image/png": OTHER}))
    return samples.notebook(*cells[:2], samples.code_cell("debug(X)\n<script>"), *cells[2:])


def shown(
    before: dict[str, Any] | None, after: dict[str, Any] | None = None
) -> tuple[str, dict[str, bytes]]:
    record = replace(samples.PASSED, run="20260101-000000-ffff")
    notebooks = {"models/train": before} if before else {}
    baseline = Baseline(
        title="run 20260101-000000-ffff, the last that passed",
        run=ShownRun(record=record, plan=samples.PLAN, notebooks=notebooks),
        difference=difference(
            Compared(record=record, plan=samples.PLAN),
            Compared(record=samples.PASSED, plan=samples.PLAN),
            lambda _ref: None,
        ),
    )
    run = ShownRun(
        record=samples.PASSED,
        plan=samples.PLAN,
        notebooks={"models/train": after or samples.TRAIN_NOTEBOOK},
    )
    files = dict(render_report(Material(run=run, baseline=baseline)))
    return pages(files)[PAGE].text, files


def test_changed_cells_are_marked_and_summed_up() -> None:
    text, files = shown(changed_notebook())
    assert "Compared with run 20260101-000000-ffff, the last that passed." in text
    assert "Changed: text, added by nbci, cell 5" in text
    assert "Gone: cell" in text
    assert "Other outputs: cell 5, cell 6" in text
    assert "Gone since the baseline" in text
    assert "-debug(X)\n-<script>" in text
    assert "+model = SVC(C=C)" in text
    assert "-0 zero 177" in text
    assert files["images/models__train/cell-5-before-1.png"] == samples.png(grey=3)


def test_the_same_cells_are_said_to_be_the_same() -> None:
    text, files = shown(samples.TRAIN_NOTEBOOK)
    assert "Every cell and its outputs are the same." in text
    assert "since the baseline:" not in text
    assert not [path for path in files if "before" in path]


def test_addresses_of_objects_are_no_difference() -> None:
    before, after = (
        samples.notebook(samples.code_cell("model", samples.stream(f"<SVC object at {address}>\n")))
        for address in ("0x7f0011223344", "0x7f5566778899")
    )
    assert "Every cell and its outputs are the same." in shown(before, after)[0]


def test_names_that_a_drawing_makes_up_are_no_difference() -> None:
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg">'
        '<dc:date>{}</dc:date><path id="m{}" d="M 0 0"/></svg>'
    )
    before, after = (
        samples.notebook(
            samples.code_cell("plot()", samples.shown({"image/svg+xml": drawn.format(*words)}))
        )
        for words in (("2026-01-01", "0a1b2c3d4e"), ("2026-01-02", "5a6b7c8d9e"))
    )
    assert "Every cell and its outputs are the same." in shown(before, after)[0]


def test_baseline_without_notebooks_is_compared_by_its_plan() -> None:
    text, _ = shown(None)
    assert "Its outputs are no longer here to be compared." in text


def test_step_that_the_baseline_has_not_is_new() -> None:
    record = replace(samples.PASSED, run="20260101-000000-ffff", steps=(samples.PREPARE,))
    plan = replace(samples.PLAN, steps=samples.PLAN.steps[:1])
    run = ShownRun(record=record, plan=plan, notebooks={})
    found = difference(
        Compared(record=record, plan=plan),
        Compared(record=samples.PASSED, plan=samples.PLAN),
        lambda _ref: None,
    )
    files = render_report(
        Material(
            run=ShownRun(
                record=samples.PASSED,
                plan=samples.PLAN,
                notebooks={"models/train": samples.TRAIN_NOTEBOOK},
            ),
            baseline=Baseline(title="the last run", run=run, difference=found),
        )
    )
    assert "This step is new: it is not in the last run." in pages(files)[PAGE].text


def numbered_lines(word: str) -> str:
    return "".join(f"{word} {number}\n" for number in range(3000))


def test_outputs_too_long_to_be_compared_are_said_to_differ() -> None:
    before, after = (
        samples.notebook(samples.code_cell("log()", samples.stream(numbered_lines(word))))
        for word in ("epoch", "step")
    )
    assert "they are too long to be compared" in shown(before, after)[0]


def test_sources_too_long_to_be_compared_are_said_to_differ() -> None:
    before, after = (
        samples.notebook(samples.code_cell(f"x = {word}\n" * 3000)) for word in ("1", "2")
    )
    assert "+… 3,000 lines, too long to be compared" in shown(before, after)[0]


TEXTS = st.text(max_size=30) | st.sampled_from(
    ["x = 1\ny = 2", "x = 1\ny = 3", "</pre><script>", "\u202e\n\x00\ud800", "\n"]
)
OUTPUTS = st.builds(samples.stream, TEXTS) | st.builds(
    lambda mime, text: samples.shown({mime: text}),
    st.sampled_from(
        ["text/plain", "text/html", "image/png", "image/svg+xml", "application/json", "x/y"]
    ),
    TEXTS | st.just(samples.PNG),
)
CELLS = st.builds(samples.code_cell, TEXTS, OUTPUTS, OUTPUTS) | st.builds(
    lambda text: {"cell_type": "markdown", "metadata": {}, "source": text}, TEXTS
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CELLS, max_size=5), st.lists(CELLS, max_size=5))
def test_any_two_notebooks_can_be_compared(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    text, _ = shown(samples.notebook(*before), samples.notebook(*after))
    if before == after:
        assert "Every cell and its outputs are the same." in text


def test_broken_picture_of_the_baseline_is_told() -> None:
    before = samples.notebook(samples.code_cell("plot()", samples.shown({"image/png": "AAAA"})))
    after = samples.notebook(samples.code_cell("plot()", samples.shown({"image/png": samples.PNG})))
    assert "Baselineit cannot be shown, it is no PNG" in shown(before, after)[0]


def test_picture_that_is_gone_is_shown_as_it_was() -> None:
    before = samples.notebook(samples.code_cell("plot()", samples.shown({"image/png": OTHER})))
    text, files = shown(before, samples.notebook(samples.code_cell("plot()")))
    assert "This runno such picture" in text
    assert files["images/models__train/cell-1-before-1.png"] == samples.png(grey=3)
