"""The pages of sweeps: what they say, and that nothing in a sweep breaks them."""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from nbci.pipeline.early_stopping import Pruning
from nbci.pipeline.fidelity import Fidelity
from nbci.report.pages.sweep.sweep_page import render_sweep
from nbci.sweeps.study_record import Work
from tests.report import sweep_samples as samples
from tests.report.report_pages import pages
from tests.report.test_render import GOLDEN, normalised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.report.data.sweep_material import SweepMaterial

UPDATE = bool(os.environ.get("NBCI_UPDATE_GOLDEN"))
SWEEPS: dict[str, SweepMaterial] = {
    "ordinary": samples.ordinary(),
    "two objectives": samples.two_objectives(),
    "hostile": samples.hostile(),
    **samples.hard_ones(),
}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|inf", re.IGNORECASE)
_PLACES = ("x", "y", "x1", "x2", "y1", "y2", "width", "height", "d", "transform", "points")


def drawings(files: Mapping[str, bytes]) -> dict[str, ElementTree.Element]:
    """The pictures, read as XML."""
    found = {}
    for path, content in files.items():
        if path.endswith(".svg"):
            found[path] = ElementTree.fromstring(content)
    return found


def shown(material: SweepMaterial) -> str:
    files = render_sweep(material)
    # What the page links to outside of its own folder is the app's to know.
    linked = dict.fromkeys(material.pages.values(), b"")
    return pages({**files, **_as_files(linked)})["index.html"].text


def _as_files(linked: Mapping[str, bytes]) -> dict[str, bytes]:
    return dict.fromkeys(linked, b'<!doctype html>\n<html lang="en"></html>')


def test_the_page_is_the_golden_one() -> None:
    text = normalised(render_sweep(samples.ordinary())["index.html"])
    place = GOLDEN / "sweep" / "index.html"
    if UPDATE:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    assert text == place.read_text()


@pytest.mark.parametrize("name", SWEEPS)
def test_pages_keep_to_the_policy_and_lead_to_what_is_there(name: str) -> None:
    material = SWEEPS[name]
    files = render_sweep(material)
    linked = _as_files(dict.fromkeys(material.pages.values(), b""))
    page = pages({**files, **linked})["index.html"]
    for content in files.values():
        assert b"<script" not in content
        assert b"onload=" not in content.replace(b"&quot; onload=", b"")
        assert b"data:" not in content
    assert [image for image in page.images if len(image["alt"]) < 20] == []


@pytest.mark.parametrize("name", SWEEPS)
def test_everything_drawn_lies_in_its_picture(name: str) -> None:
    check_drawings(render_sweep(SWEEPS[name]))


def check_drawings(files: Mapping[str, bytes]) -> None:
    """Check that pictures have titles, and places within their edges."""
    for path, root in drawings(files).items():
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        titles = [node.text for node in root if node.tag.endswith("title")]
        assert len(titles[0] or "") > 20, path
        for node in root.iter():
            for attribute in _PLACES:
                for number in map(float, _NUMBER.findall(node.attrib.get(attribute, ""))):
                    assert math.isfinite(number), (path, node.attrib)
                    assert -20 <= number <= max(width, height) + 1, (path, node.attrib)


def test_the_page_leads_with_the_best_and_says_how_to_run_it() -> None:
    text = shown(samples.ordinary())
    order = [
        "Sweep of digits, best",
        "Trial 4 is the best of 11: fit/predict:accuracy 0.97 with C=20, kernel=null.",
        "11 trials: 6 complete, 1 earlier, 1 pruned, 1 failed, 1 interrupted, 1 running",
        "nbci run pipelines/digits.yaml -p C=20.0 -p kernel=null",
        "0.01 to 1000, by orders of magnitude",
        "kernel == 'poly'",
    ]
    assert sorted(order, key=text.index) == order


def test_saved_time_counts_what_was_reused_and_what_an_equal_trial_had() -> None:
    trials = [samples.trial(0, 0.5), samples.trial(1, 0.5, same_as=0, computed=Work())]
    text = shown(samples.material(trials))
    # Each needs 4.9 s, of which the first computed 0.9 s.
    assert "Of 9.8 s that the trials' steps take, 0.90 s were computed (1 step)" in text
    assert "8.9 s saved: 91%" in text


def test_the_table_has_the_best_first_and_why_others_have_no_value() -> None:
    page = render_sweep(samples.ordinary())["index.html"].decode()
    table = page[page.index('<table class="trials"') :].partition("</table>")[0]
    first = re.findall(r'<tr><th scope="row">(\d+)', table)
    assert first == ["4", "7", "1", "6", "10", "3", "0", "5", "2", "8", "9"]
    assert "no &lt;convergence&gt;" in table
    assert "equal to trial 1" in table
    assert "a run from before the sweep" in table
    assert "at step 2: 0.6" in table
    assert 'href="../runs/of-trial-4/report/index.html"' in table


def test_errors_that_differ_in_numbers_are_counted_together() -> None:
    errors = ["x is 1.5", "no such file", "x is 2", "x is 30.25"]
    trials = [samples.trial(at, error=error) for at, error in enumerate(errors)]
    text = shown(samples.material(trials))
    assert "3 trials failed like trial 0: x is 1.5" in text
    assert text.index("3 trials failed") < text.index("1 trial failed like trial 1: no such file")


def test_sweeps_without_values_say_so() -> None:
    hard = samples.hard_ones()
    assert "There is no trial yet." in shown(hard["no trial"])
    failed = shown(hard["all failed"])
    assert "None of 5 trials has a value. All failed with: no such file" in failed
    assert "-p C" not in failed


def test_of_several_objectives_the_front_is_named_with_its_commands() -> None:
    text = shown(samples.two_objectives())
    assert "No trial is better in all than one of these: 4, 1, 0, 2." in text
    assert text.count("nbci run ") == 4


def test_values_far_beyond_the_others_do_not_press_them_flat() -> None:
    files = render_sweep(samples.hard_ones()["far off"])
    history = files["images/history-1.svg"].decode()
    assert history.count('class="beyond"') == 1
    assert "1 value far beyond it, 0.1." in shown(samples.hard_ones()["far off"])


def test_what_stops_trials_early_is_said_and_their_curves_are_named() -> None:
    record = samples.sweep(
        prune=Pruning(on="fit:val_loss", by="successive_halving"),
        fidelity=Fidelity(param="epochs", low=1, high=9),
    )
    trials = [
        samples.trial(0, 0.9, curve=((1.0, 0.5), (9.0, 0.9)), resource=9),
        samples.trial(1, state="pruned", curve=((1.0, 0.1),), resource=1),
    ]
    text = shown(samples.material(trials, record))
    assert "by fit:val_loss, successive halving" in text
    assert "epochs 1, 3, 9" in text
    curves = render_sweep(samples.material(trials, record))["images/curves.svg"].decode()
    assert curves.count('class="pruned"') == 2  # one of them in the legend
    assert ">epochs</text>" in curves


def test_the_timeline_leaves_out_pauses_and_says_how_busy_workers_were() -> None:
    late = {"started_utc": "2026-01-03T03:04:00.000Z", "ended_utc": "2026-01-03T03:04:03.000Z"}
    trials = [samples.trial(0, 0.5), samples.trial(1, 0.6), samples.trial(2, 0.7, **late)]
    material = samples.material(trials)
    text = shown(material)
    assert "Took4.5 s" in text
    # Half a second after the first, the second one began, and both took one.
    assert "worker 124.0 s89%" in text
    assert "worker 211.0 s22%" in text
    drawn = render_sweep(material)["images/timeline.svg"].decode()
    assert "2026-01-02 03:00" in drawn
    assert "2026-01-03 03:04" in drawn
