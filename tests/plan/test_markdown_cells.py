from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbci.plan.model import MarkdownCell, Plan
from nbci.records.codec import from_json, to_json_line
from tests.plan.plans import plan_of, planned
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

_CELLS: list[str | tuple[str, str]] = [
    ("markdown", "# Sums"),
    "x = 1",
    ("markdown", "  "),
    ("markdown", "*So* it is."),
]


def with_attachments(path: Path, attachments: object) -> Path:
    """The notebook at `path`, whose first cell has these attachments."""
    document = json.loads(path.read_bytes())
    document["cells"][0]["attachments"] = attachments
    path.write_text(json.dumps(document))
    return path


def first_attachments(folder: Path, source: str, attachments: object) -> Any:
    notebook = write_notebook(folder / "n.ipynb", [("markdown", source), "x = 1"])
    plan = planned(with_attachments(notebook, attachments))
    return (plan.markdown or {})["n.ipynb"][0].attachments


def test_a_plan_has_the_markdown_cells_of_its_notebooks(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, _CELLS)
    assert plan.markdown == {
        "n.ipynb": (
            MarkdownCell(number=1, source="# Sums"),
            MarkdownCell(number=4, source="*So* it is."),
        )
    }
    assert from_json(to_json_line(plan), Plan, "plan.json") == plan


def test_text_is_no_part_of_any_key(tmp_path: Path) -> None:
    with_text = plan_of(tmp_path / "a", _CELLS)
    other_text = plan_of(tmp_path / "b", [("markdown", "# Other"), *_CELLS[1:]])
    assert with_text.markdown != other_text.markdown
    digests = [[part.digest for part in plan.steps[0].parts] for plan in (with_text, other_text)]
    assert digests[0] == digests[1]


def test_a_notebook_without_text_leaves_the_plan_as_it_was(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ["x = 1"])
    assert plan.markdown is None
    assert b"markdown" not in to_json_line(plan)


def test_text_that_no_encoding_has_is_planned(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", [("markdown", "TEXT"), "x = 1"])
    notebook.write_text(notebook.read_text().replace("TEXT", "a \\ud800 null b"))
    plan = planned(notebook)
    assert from_json(to_json_line(plan), Plan, "plan.json") == plan


def test_pictures_that_the_text_shows_are_kept(tmp_path: Path) -> None:
    attachments = {
        "a plot.png": {"image/png": ["aGV", "sbG8="]},
        "deleted.png": {"image/png": "aGVsbG8="},
    }
    source = "![a](attachment:a%20plot.png)"
    kept = first_attachments(tmp_path, source, attachments)
    assert kept == {"a plot.png": {"image/png": "aGVsbG8="}}
    umlaut = {"grün.png": {"image/png": "aGVsbG8="}}
    assert first_attachments(tmp_path, "50%! %ff ![](attachment:gr%C3%BCn.png)", umlaut) == umlaut


def test_attachments_that_are_none_are_passed_over(tmp_path: Path) -> None:
    source = "![a](attachment:a) ![b](attachment:b) ![c](attachment:c)"
    nothing: tuple[object, ...] = (None, [], "a", {"a": None}, {"b": 3})
    for odd in nothing:
        assert not first_attachments(tmp_path, source, odd)
    odd_forms = {"a": {"image/png": {"x": 1}, "text/plain": "a", "image/gif": "R0lG"}}
    assert first_attachments(tmp_path, source, odd_forms) == {"a": {"image/gif": "R0lG"}}


def test_an_album_of_pictures_does_not_fill_the_plan(tmp_path: Path) -> None:
    attachments = {name: {"image/png": "A" * 4_000_000} for name in ("a.png", "b.png")}
    attachments["c.png"] = {"image/png": "QUJD"}
    source = "".join(f"![{name}](attachment:{name})" for name in attachments)
    kept = first_attachments(tmp_path, source, attachments)
    assert "a.png" in kept
    assert "b.png" not in kept
    assert len(json.dumps(kept)) < 5_000_000
