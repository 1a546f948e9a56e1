"""A run as DVC writes pipelines, held against DVC's own schemas."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nbci.data.dvc_files import (
    Exported,
    dvc_stages,
    given_params,
    lock_entry,
    notes_of,
    stage_names,
)
from nbci.data.dvc_merge import merged_documents, outs_of, own_stages, without_outs
from nbci.handoff.values import ValueRef
from nbci.plan.model import Plan, PlannedStep
from nbci.records.run_record import FileRef, Metric, ParameterValue, RunRecord, StepRecord

OURS = {"nbci": "p ipe.yaml"}
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
PLAN = Plan(
    pipeline="p",
    target="p ipe.yaml",
    steps=(
        PlannedStep(
            name="a", notebook="a.ipynb", kernel="k", language="python", cells=(), outs=("data",)
        ),
        PlannedStep(
            name="train/svm",
            notebook="b.ipynb",
            kernel="k",
            language="python",
            cells=(),
            deps=("data",),
            outs=("m.bin",),
            metrics=("m.json",),
        ),
        PlannedStep(name="skipped", notebook="b.ipynb", kernel="k", language="python", cells=()),
    ),
)
FOLDER = FileRef(path="data", digest=f"{MD5}.dir", bytes=7, files=2)
RECORD = RunRecord(
    run="R",
    pipeline="p",
    target="p ipe.yaml",
    result="passed",
    nbci="0",
    steps=(
        StepRecord(name="a", result="reused", outs=(FOLDER,)),
        StepRecord(
            name="train/svm",
            result="passed",
            deps=(FOLDER,),
            outs=(
                FileRef(path="m.bin", digest=MD5, bytes=1),
                FileRef(path="m.json", digest=MD5, bytes=1),
            ),
        ),
        StepRecord(name="skipped", result="skipped"),
    ),
)
NOTEBOOK = {"b.ipynb": FileRef(path="b.ipynb", digest=MD5, bytes=3)}


def test_stages_and_lock() -> None:
    found = dvc_stages(PLAN, RECORD, files=NOTEBOOK, params="-p C=1")
    assert dict(found.stages) == {
        "a": {"cmd": "nbci run 'p ipe.yaml' --only a -p C=1", "outs": ["data"], "meta": OURS},
        "train-svm": {
            "cmd": "nbci run 'p ipe.yaml' --only train/svm -p C=1",
            "deps": ["b.ipynb", "data"],
            "outs": ["m.bin"],
            "metrics": ["m.json"],
            "meta": OURS,
        },
    }
    assert found.locked["a"]["outs"] == [
        {"path": "data", "hash": "md5", "md5": f"{MD5}.dir", "size": 7, "nfiles": 2}
    ]
    assert [entry["path"] for entry in found.locked["train-svm"]["outs"]] == ["m.bin", "m.json"]


def test_dvc_accepts_it() -> None:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA, COMPILED_MULTI_STAGE_SCHEMA

    stages = dvc_stages(PLAN, RECORD, files=NOTEBOOK)
    artifacts = {"p": {"path": "m.bin", "type": "model", "labels": ["onnx"], "desc": "x"}}
    document, lock = merged_documents(
        stages, target=PLAN.target, own=None, own_lock=None, artifacts=artifacts
    )
    assert COMPILED_MULTI_STAGE_SCHEMA(document) == document
    assert COMPILED_LOCKFILE_SCHEMA(lock)["schema"] == "2.0"


def test_what_the_project_has_stays_and_nbcis_own_is_replaced() -> None:
    own: dict[str, Any] = {
        "stages": {
            "mine": {"cmd": "nbci run mine.ipynb"},
            "a": {"cmd": "nbci run 'p ipe.yaml' --only a -p C=7", "meta": OURS},
            "gone": {"cmd": "nbci run 'p ipe.yaml' --only gone", "meta": OURS},
            "other": {"cmd": "nbci run other.yaml --only a", "meta": {"nbci": "other.yaml"}},
        },
        "plots": ["p.csv"],
        "artifacts": {"other": {"path": "o"}},
    }
    own_lock = {
        "schema": "2.0",
        "stages": {"mine": {"cmd": "nbci run mine.ipynb"}, "gone": {"cmd": "x"}},
    }
    others = own_stages(own, PLAN.target)
    assert list(others) == ["mine", "other"]
    stages = dvc_stages(PLAN, RECORD, files={}, taken=others)
    document, lock = merged_documents(
        stages, target=PLAN.target, own=own, own_lock=own_lock, artifacts={"m": {"path": "m"}}
    )
    assert (document["plots"], set(document["artifacts"])) == (["p.csv"], {"other", "m"})
    assert document["stages"]["a"]["cmd"] == "nbci run 'p ipe.yaml' --only a"
    assert set(lock["stages"]) == {"mine", "a", "train-svm"}
    assert set(document["stages"]) == {"mine", "other", "a", "train-svm"}
    assert list(own["stages"]) == ["mine", "a", "gone", "other"]


def test_outs_of_others_are_left_to_them() -> None:
    stage = {"wdir": "sub", "outs": ["x", {"y": {"cache": False}}, "${z}"], "metrics": ["m.json"]}
    assert outs_of(stage) == ["sub/x", "sub/y", "sub/m.json"]
    kept = without_outs(dvc_stages(PLAN, RECORD, files={}), {"m.bin"})
    assert kept.stages["train-svm"].keys() == {"cmd", "deps", "metrics", "meta"}
    assert [entry["path"] for entry in kept.locked["train-svm"]["outs"]] == ["m.json"]


def test_dvc_fills_nothing_into_names() -> None:
    from dvc.parsing.interpolate import get_matches

    plan = replace(PLAN, target="n ${x}.ipynb")
    stages = dvc_stages(plan, RECORD, files={}).stages
    assert stages["a"] == {
        "cmd": r"nbci run 'n \${x}.ipynb' --only a",
        "outs": ["data"],
        "meta": {"nbci": r"n \${x}.ipynb"},
    }
    assert get_matches(stages["a"]["cmd"]) == []
    assert own_stages({"stages": stages}, plan.target) == {}


def test_notes_tell_what_a_step_hands_on() -> None:
    asks = replace(PLAN.steps[1], params={"n": {"$template": "${a:rows}"}})
    plan = replace(PLAN, steps=(PLAN.steps[0], asks))
    step = StepRecord(
        name="a",
        result="passed",
        gives=(ValueRef(name="x", object="ab" * 32, bytes=1, type="int", group=("x",)),),
        metrics=(
            Metric(name="rows", value=3.0, source="scrap"),
            Metric(name="f", value=1.0, source="data.json"),
        ),
    )
    assert {path: json.loads(text) for path, text in notes_of(plan, step).items()} == {
        ".nbci/dvc/p/a/values.json": {"values": {"x": "ab" * 32}, "metrics": {"rows": 3.0}},
        ".nbci/dvc/p/a/metrics.json": {"f": 1.0, "rows": 3.0},
    }


def test_what_git_has_and_what_are_plots() -> None:
    step = replace(PLAN.steps[0], outs=("data", "roc.PNG", "plots/curve.csv", "plots.csv"))
    plan = replace(PLAN, steps=(step,))
    exported = Exported(committed=frozenset({"data"}), params={"a": {"p.C": 1}})
    found = dvc_stages(plan, RECORD, files={}, exported=exported)
    assert found.stages["a"]["outs"] == [{"data": {"cache": False}}, "plots.csv"]
    assert found.stages["a"]["plots"] == ["roc.PNG", "plots/curve.csv"]
    assert (found.stages["a"]["params"], found.locked["a"]["params"]) == (
        ["p.C"],
        {"params.yaml": {"p.C": 1}},
    )


def test_only_what_was_given_from_outside_is_given_again() -> None:
    params = [
        ParameterValue(name="C", value=2.0, source="-p"),
        ParameterValue(name="kind", value="a b", source="-f params.yaml"),
        ParameterValue(name="columns", value=["a", "b"], source="environment NBCI_PARAM_columns"),
        ParameterValue(name="seed", value=7, source="p.yaml"),
    ]
    assert given_params(params) == """-p C=2.0 -p 'kind=a b' -p 'columns=["a", "b"]'"""


def test_other_digests_have_no_place_in_a_lock() -> None:
    assert lock_entry(None) is None
    assert lock_entry(FileRef(path="x", digest="ab" * 32, bytes=1)) is None


@given(
    st.lists(st.text(alphabet="ab/-_", min_size=1, max_size=4), unique=True),
    st.lists(st.sampled_from(["a", "b-"])),
)
def test_stage_names_are_allowed_and_different(steps: list[str], taken: list[str]) -> None:
    from dvc.stage.utils import is_valid_name

    names = stage_names(steps, taken)
    assert list(names) == steps
    assert len({*names.values(), *taken}) == len(names) + len(set(taken))
    assert all(is_valid_name(name) for name in names.values())
