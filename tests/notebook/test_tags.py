from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from nbci.errors import UsageError
from nbci.notebook.cells import Cell, Notebook
from nbci.notebook.tags import CellTags, is_default, read_defaults, read_tags


def _read(*tags: str) -> CellTags:
    cell = Cell(number=3, kind="code", source="\n  fit(X)\nscore", tags=tags)
    return read_tags(
        Notebook(
            path="n.ipynb", cells=(cell,) * 3, kernel_name=None, language="python", document={}
        ),
        cell,
    )


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], {}),
        (["skip"], {"role": "skip"}),
        (["imports"], {"role": "imports"}),
        (["functions"], {"role": "functions"}),
        (["parameters"], {"role": "parameters"}),
        (["pipeline-parameters"], {"role": "parameters"}),
        (["metrics"], {"role": "metrics"}),
        (["pipeline-metrics"], {"role": "metrics"}),
        (["skip", "imports"], {"role": "skip"}),
        (["step:a", "functions", "skip"], {"role": "functions"}),
        (["step:a-b_1"], {"role": "step", "steps": ("a-b_1",)}),
        (["block:a"], {"role": "step", "steps": ("a",)}),
        (["block:a;b"], {"role": "step", "steps": ("a", "b")}),
        (["block:a; b;a"], {"role": "step", "steps": ("a", "b")}),
        (["block:"], {}),
        (["step:"], {}),
        (["step:a", "step:"], {"role": "step", "steps": ("a",)}),
        (["step:", "step:a"], {"role": "step", "steps": ("a",)}),
        (
            ["step:a", "prev:b", "prev:c", "prev:b"],
            {"role": "step", "steps": ("a",), "after": ("b", "c")},
        ),
        (["prev:b;c", "block:a"], {"role": "step", "steps": ("a",), "after": ("b", "c")}),
        (["after:b"], {"after": ("b",)}),
        (["annotation:k:v:w"], {"annotations": {"k": "v:w"}}),
        (["label:k:"], {"labels": {"k": ""}}),
        (["limit:nvidia.com/gpu:2"], {"settings": {"agent": "gpu"}}),
        (["limit:amd.com/gpu:1"], {"settings": {"agent": "gpu"}}),
        (["limit:nvidia.com/gpu:0"], {"settings": {"agent": None}}),
        (["limit:cpu:2", "limit:memory:4Gi"], {}),
        (["agent:big", "limit:nvidia.com/gpu:1"], {"settings": {"agent": "big"}}),
        (["agent:gpu && linux"], {"settings": {"agent": "gpu && linux"}}),
        (["gpu"], {"settings": {"agent": "gpu"}}),
        (["image:python:3.12"], {"settings": {"container": "python:3.12"}}),
        (["cache:enabled", "report:disabled"], {"settings": {"cache": True, "report": False}}),
        (["notebook:my-pipeline"], {"pipeline": "my-pipeline"}),
        (["timeout:30m"], {"settings": {"timeout_seconds": 1800.0}}),
        (["timeout:1h30m", "retries:2"], {"settings": {"timeout_seconds": 5400.0, "retries": 2}}),
        (
            ["in:data/a b.csv", "out:m.pkl", "out:n.pkl"],
            {"ins": ("data/a b.csv",), "outs": ("m.pkl", "n.pkl")},
        ),
        (["secret:DB_PASSWORD"], {"secrets": ("DB_PASSWORD",)}),
        (["secret:db-credentials.v1:pass.word:DB_PASSWORD"], {"secrets": ("DB_PASSWORD",)}),
        (["raises-exception"], {}),
        (["nbval-skip", "nbval-raises-exception", "remove-cell", "hide-input", "slide:x"], {}),
        (["colab_type:code", "id:3", "injected-parameters", "papermill-error-cell-tag"], {}),
    ],
)
def test_the_grammar(tags: list[str], expected: dict[str, Any]) -> None:
    assert _read(*tags) == CellTags(**expected)


@pytest.mark.parametrize(
    ("tags", "message", "hint"),
    [
        (["step:a", "step:b"], "two step names in one cell: a and b", "block:a;b"),
        (["step:a", "block:b"], "two step names in one cell: a and b", "block:a;b"),
        (["step:Load Data"], "'Load Data' is no step name", "'load_data'"),
        (["step:ä"], "'ä' is no step name", None),
        (["step:-a"], "'-a' is no step name", None),
        (["prev:Load"], "'Load' is no step name", "'load'"),
        (["prev:"], "`prev:` names no step", "prev:NAME"),
        (["stpe:a"], "unknown tag 'stpe:a'", "'step:a'"),
        (["Step:a"], "unknown tag 'Step:a'", "'step:a'"),
        (["steps:a"], "unknown tag 'steps:a'", "'step:a'"),
        (["blok:a"], "unknown tag 'blok:a'", "'block:a'"),
        (["perv:a"], "unknown tag 'perv:a'", "'prev:a'"),
        (["import"], "unknown tag 'import'", "'imports'"),
        (["Skip"], "unknown tag 'Skip'", "'skip'"),
        (["paramaters"], "unknown tag 'paramaters'", "'parameters'"),
        (["pipeline-metric"], "unknown tag 'pipeline-metric'", "'pipeline-metrics'"),
        (["pipeline_parameters"], "unknown tag 'pipeline_parameters'", "'pipeline-parameters'"),
        (["raise-exception"], "unknown tag 'raise-exception'", "'raises-exception'"),
        (["secrets:A"], "unknown tag 'secrets:A'", "'secret:A'"),
        (["limit:gpu"], "`limit:gpu` is no limit", "limit:RESOURCE:AMOUNT"),
        (["limit:nvidia.com/gpu:some"], "is no limit", "limit:RESOURCE:AMOUNT"),
        (["cache:yes"], "`cache:yes` says neither enabled nor disabled", "cache:enabled"),
        (["annotation:k"], "`annotation:k` has no value", "annotation:KEY:VALUE"),
        (["label::v"], "`label::v` has no value", "label:KEY:VALUE"),
        (["agent:"], "`agent:` names no label", "agent:LABEL"),
        (["timeout:soon"], "`timeout:soon` is no duration", "30m"),
        (["timeout:0"], "`timeout:0` is no duration", "30m"),
        (["timeout:nan"], "`timeout:nan` is no duration", "30m"),
        (["timeout:-3"], "`timeout:-3` is no duration", "30m"),
        (["retries:-1"], "`retries:-1` is no number", "retries:2"),
        (["retries:²"], "`retries:²` is no number", "retries:2"),
        (["secret:db:DB_PASSWORD"], "no name of an environment variable", "secret:SECRET:KEY:NAME"),
        (["secret:a:b:c:D"], "no name of an environment variable", "secret:SECRET:KEY:NAME"),
        (["secret:my-token"], "no name of an environment variable", "secret:NAME"),
        (["in:"], "`in:` names no path", "in:PATH"),
        (["out:"], "`out:` names no path", "out:PATH"),
    ],
)
def test_mistakes_name_the_cell_and_what_was_meant(
    tags: list[str], message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        _read(*tags)
    assert message in caught.value.message
    assert str(caught.value.where) == "n.ipynb, cell 3 ('fit(X)')"
    if hint is not None:
        assert hint in (caught.value.hint or "")


_WORDS = st.sampled_from(
    [
        "step",
        "block",
        "prev",
        "after",
        "annotation",
        "label",
        "limit",
        "image",
        "cache",
        "report",
        "notebook",
        "agent",
        "timeout",
        "retries",
        "in",
        "out",
        "secret",
        "skip",
        "imports",
        "gpu",
        "1",
        "²",
        "nvidia.com/gpu",
        "",
        "enabled",
    ]
)


@given(
    st.lists(
        st.lists(_WORDS | st.text(max_size=5), min_size=1, max_size=4).map(":".join), max_size=4
    )
)
@example(["retries:²"])
@example(["timeout:1e400"])
def test_any_tags_are_understood_or_a_usage_error(tags: list[str]) -> None:
    try:
        found = _read(*tags)
    except UsageError:
        return
    assert (found.role == "step") == bool(found.steps)


def test_defaults_for_every_step_are_kales() -> None:
    notebook = Notebook(path="n.ipynb", cells=(), kernel_name=None, language="python", document={})
    kinds = [
        "image:python:3.12",
        "cache:disabled",
        "report:disabled",
        "secret:db:pw:DB_PW",
        "limit:nvidia.com/gpu:1",
        "label:access:true",
        "annotation:owner:kids",
    ]
    assert all(map(is_default, kinds))
    assert read_defaults(notebook, kinds) == CellTags(
        settings={"container": "python:3.12", "cache": False, "report": False, "agent": "gpu"},
        secrets=("DB_PW",),
        labels={"access": "true"},
        annotations={"owner": "kids"},
    )
    assert not any(map(is_default, ("step:all", "skip", 7)))
    with pytest.raises(UsageError, match=r"n\.ipynb: `secret:db:pw` is no name"):
        read_defaults(notebook, ["secret:db:pw"])
