"""Each rule of pipeline files on a file that breaks it."""

from __future__ import annotations

import pytest

from nbci.lint.rules import ALL_RULES, NOTEBOOK_RULES, PIPELINE_RULES
from tests.lint.checking import FINE, PARTS, notebook, pipeline_findings

PIPELINES = [
    ("wrong-pipeline-file", "steps:\n  a: {notebok: a.ipynb}\nordr: declared\n", [2, 2, 3]),
    ("wrong-pipeline-file", "steps: [\n", [2]),
    ("missing-notebook", "steps:\n  a: {notebook: a.ipynb}\n  b: {notebook: b.ipynb}\n", [3]),
    (
        "wrong-reference",
        (
            'steps:\n  a:\n    notebook: a.ipynb\n    env: {A: "${D}"}\n'
            '    deps: ["${E", "${matrix.m}"]\n'
        ),
        [4, 5, 5],
    ),
    (
        "cycle",
        "steps:\n  a: {notebook: a.ipynb, after: [b]}\n  b: {notebook: a.ipynb, after: [a]}\n",
        [2],
    ),
    ("wrong-pipeline", "steps:\n  a: {notebook: a.ipynb, params: {D: 2}}\n", [2]),
    ("unused-parameter", "params:\n  C: 1\n  D: 2\nsteps:\n  a: {notebook: a.ipynb}\n", [2, 3]),
    (
        "unmeasured-metric",
        (
            f"{FINE}metrics:\n  accuracy: {{}}\n  loss: {{}}\ngates:\n"
            f"  - {{metric: f1, at_least: 1}}\n"
        ),
        [8, 10],
    ),
]


@pytest.mark.parametrize(("rule", "text", "lines"), PIPELINES, ids=[case[0] for case in PIPELINES])
def test_a_rule_finds_what_is_wrong_in_a_pipeline_file(
    rule: str, text: str, lines: list[int]
) -> None:
    findings = [finding for finding in pipeline_findings(text, PARTS) if finding.rule == rule]
    assert [finding.line for finding in findings] == lines
    assert [finding.file_line for finding in findings] == lines
    assert {finding.severity for finding in findings} == {PIPELINE_RULES[rule].severity}


def test_a_tag_that_fits_its_notebook_and_not_the_file_is_found_with_its_cell() -> None:
    parts = {"a.ipynb": notebook(("", "x = 1"), ("out:${matrix.m}.bin", "save(x)"))}
    findings = pipeline_findings("steps:\n  a: {notebook: a.ipynb, matrix: {n: [1]}}\n", parts)
    assert [finding.rule for finding in findings] == ["wrong-pipeline"]
    assert findings[0].message.startswith(
        "a.ipynb, cell 2 ('save(x)'): the tag out:${matrix.m}.bin names 'matrix.m'"
    )


def test_a_pipeline_file_without_mistakes_has_no_findings() -> None:
    assert pipeline_findings(FINE, PARTS) == []


def test_every_rule_of_pipeline_files_has_a_case() -> None:
    assert {case[0] for case in PIPELINES} == set(PIPELINE_RULES)
    assert set(ALL_RULES) == {
        *NOTEBOOK_RULES,
        *PIPELINE_RULES,
        "unreadable",
        "missing-kernel",
        "wrong-composition",
    }


def test_a_mistake_of_a_notebook_is_not_told_again_for_its_pipeline() -> None:
    assert (
        pipeline_findings(
            "steps:\n  a: {notebook: a.ipynb}\n", {"a.ipynb": notebook(("step:a", "x = y"))}
        )
        == []
    )


def test_a_notebook_with_wrong_tags_does_not_keep_its_pipeline_from_being_checked() -> None:
    text = "params: {C: 1}\nsteps:\n  a: {notebook: a.ipynb, env: {A: '${D}'}}\n"
    for tags in ("prev:b", "stpe:a", "step:a prev:b  nbci-ignore:wrong-edge"):
        assert [
            finding.rule for finding in pipeline_findings(text, {"a.ipynb": notebook((tags, "1"))})
        ] == ["wrong-reference"]


def test_a_parameter_that_only_a_retraining_uses_is_used() -> None:
    text = (
        "params: {log: logs}\nsteps:\n  a: {notebook: a.ipynb}\n"
        "retrain: {data: {table: data/t.csv, log: '${log}', columns: {x: a}, label: y}}\n"
    )
    assert pipeline_findings(text, PARTS) == []
