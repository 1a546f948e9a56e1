"""The card says what the evidence holds, whatever characters are in it."""

from __future__ import annotations

import itertools

from markdown_it import MarkdownIt
from msgspec.structs import replace

from nbci.pipeline.models import Signature, Tensor
from nbci.promotion.card import card
from nbci.promotion.packaging import Packaged, Trial
from nbci.records.chosen import Chosen, Confirmed, ConfirmedValue, Distribution
from nbci.records.manifest import EvidenceStep, Manifest, Promoter
from nbci.records.run_record import FileRef, ParameterValue
from nbci.records.verdict import GateResult, Verdict

MD5 = "5a90ab1d3f8c31063312455018013cc0"
MANIFEST = Manifest(
    model="digits",
    version="v1.2.0",
    run="20261121-120000-abcdef0",
    pipeline="digits",
    target="pipelines/digits.yaml",
    commit="0123456789abcdef0123456789abcdef01234567",
    promoted_utc="2026-11-21T12:00:00Z",
    by=Promoter(name="Ada | <Lovelace>", email="ada@example.org"),
    nbci="0.1.0",
    stage="production",
    files=(FileRef(path="build/digits.onnx", digest=MD5, bytes=249_967),),
    params=(ParameterValue(name="C", value=10.0, source="-p"),),
    metrics={"predict:accuracy": 0.99333333},
    verdict=Verdict(
        result="passed",
        judged_utc="2026-11-21T11:59:00Z",
        gates=(
            GateResult(
                gate="1",
                asked="accuracy ≥ 0.97",
                result="passed",
                reason="0.023 above",
                found=0.99333333,
            ),
        ),
    ),
    steps=(
        EvidenceStep(
            name="predict",
            notebook="notebooks/digits.ipynb",
            result="passed",
            deps=(
                FileRef(path="data/raw.csv", digest=MD5, bytes=12),
                FileRef(path="made.csv", digest=MD5, bytes=1),
            ),
            distributions={"scikit-learn": "1.9.0"},
        ),
        EvidenceStep(
            name="make",
            notebook="n.ipynb",
            result="passed",
            outs=(FileRef(path="made.csv", digest=MD5, bytes=1),),
        ),
    ),
)
MODEL = Packaged(
    framework="onnx",
    signature=Signature(inputs=(Tensor(name="X", dtype="float32", shape=(None, 64)),), outputs=()),
    trials=(
        Trial(path="build/digits.onnx", sample="s.npz", rows=32, largest_difference={"label": 0.0}),
    ),
    description="Reads digits",
)


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, as a Markdown renderer sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    found: list[list[str]] = []
    for before, token in itertools.pairwise(tokens):
        if before.type == "tr_open":
            found.append([])
        if before.type in ("td_open", "th_open"):
            found[-1].append("".join(child.content for child in token.children or ()))
    return found


def test_it_says_what_is_in_the_evidence() -> None:
    text = card(MANIFEST, MODEL, "digits@v1.2.0")
    assert text.startswith("# digits v1.2.0\n\nReads digits\n")
    shown = rows(text)
    for row in (
        ["framework", "onnx"],
        ["promoted", "2026-11-21T12:00:00Z by Ada | <Lovelace>"],
        ["input", "X", "float32", "any, 64"],
        ["predict:accuracy", "0.993333"],
        ["build/digits.onnx", "32", "label 0"],
        ["build/digits.onnx", "250 kB", MD5],
        ["C", "10.0", "-p"],
        ["accuracy ≥ 0.97", "passed", "0.993333", "0.023 above"],
        ["scikit-learn", "1.9.0"],
    ):
        assert row in shown
    assert "dvc get REPOSITORY build/digits.onnx --rev digits@v1.2.0" in text


def test_data_are_the_files_that_no_step_made() -> None:
    data = card(MANIFEST, MODEL, "t").partition("## Data")[2].partition("##")[0]
    assert "data/raw.csv" in data
    assert "made.csv" not in data


def test_the_projects_own_text_comes_first() -> None:
    text = card(MANIFEST, MODEL, "t", introduction="Made for *reading*.\n")
    assert text.startswith("# digits v1.2.0\n\nMade for *reading*.\n")


def test_sections_without_content_are_left_out() -> None:
    bare = replace(MANIFEST, params=(), metrics=None, steps=())
    text = card(bare, Packaged(framework=None, signature=None), "t")
    assert "## Parameters" not in text
    assert "## Tried" not in text
    assert "## Metrics" not in text


PLAIN = Packaged(framework="plain", signature=None)


def test_the_card_says_of_which_search_the_values_are() -> None:
    spread = Distribution(
        metric="fit:loss",
        direction="minimize",
        chosen=0.25,
        minimum=0.25,
        lower_quartile=0.5,
        median=1.0,
        upper_quartile=2.0,
        maximum=4.0,
        values=(4.0, 0.25),
    )
    chosen = Chosen(
        sweep="s1",
        trial=3,
        params={"C": 10.0},
        space={"C": {"type": "range", "low": 1.0, "high": 100.0, "log": True}},
        method="tpe",
        seed=7,
        objectives=(spread,),
        is_best=True,
        complete=14,
        pruned=1,
        failed=1,
    )
    value = ConfirmedValue(objective="fit:loss", metric="check:loss", chosen=0.25, value=0.5)
    confirmed = Confirmed(step="check", metrics={"check:loss": 0.5}, values=(value,))
    text = card(replace(MANIFEST, chosen=chosen, confirmed=confirmed), PLAIN, "tag")
    assert "| chosen | best of 16 trials of sweep s1 by fit:loss |" in text
    assert "| confirmed | check:loss 0.5 (0.25 when it was chosen), by step check |" in text
    assert "| method | tpe, seed 7 |" in text
    assert "| trials | 14 complete, 1 pruned, 1 failed |" in text
    assert "| C | low 1.0, high 100.0, log True |" in text
    assert "| fit:loss | 0.25; of all 0.25 to 4, quartiles 0.5, 1, 2 |" in text
    assert "Search" not in card(MANIFEST, PLAIN, "tag")
