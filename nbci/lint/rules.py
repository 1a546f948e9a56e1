"""The rules: what each is called, how much it weighs, and the function that looks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from nbci.lint import (
    committed_outputs,
    leaks,
    names,
    pipelines,
    process_effects,
    randomness,
    settings,
    tags,
    unsaveable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nbci.lint.finding import Hit, Severity
    from nbci.lint.notebook_facts import NotebookFacts
    from nbci.lint.pipelines import Composition

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Rule(Generic[Subject]):
    """How much a hit weighs, and who looks for it."""

    severity: Severity
    look: Callable[[Subject], Iterable[Hit]]


# These names and those of the rules stand in notebooks and pipeline files, where a comment or a tag
# ignores a rule, so that none is ever renamed.
UNREADABLE = "unreadable"
MISSING_KERNEL = "missing-kernel"
WRONG_COMPOSITION = "wrong-composition"

NOTEBOOK_RULES: dict[str, Rule[NotebookFacts]] = {
    "wrong-tag": Rule("error", tags.wrong_tags),
    "wrong-edge": Rule("error", tags.wrong_edges),
    "cycle": Rule("error", tags.cycles),
    "syntax-error": Rule("error", names.syntax_errors),
    "undefined-name": Rule("error", names.undefined_names),
    "unsaveable-value": Rule("error", unsaveable.unsaveable_values),
    "secret-in-source": Rule("error", leaks.secrets_in_source),
    "numbered-output": Rule("warning", names.numbered_outputs),
    "maybe-undefined-name": Rule("warning", names.maybe_undefined_names),
    "cell-before-tags": Rule("warning", tags.dropped_cells),
    "cell-behind-metrics": Rule("info", tags.cells_behind_metrics),
    "ignored-tag": Rule("warning", tags.ignored_settings),
    "tag-on-text": Rule("warning", tags.tags_on_text),
    "unsettled-join": Rule("warning", names.joins),
    "not-handed-on": Rule("warning", names.not_handed_on),
    "unused-parameter": Rule("warning", names.unused_parameters),
    "overwritten-parameter": Rule("warning", names.overwritten_parameters),
    "hidden-names": Rule("info", names.hidden_names),
    "environment-change": Rule("warning", process_effects.environment_changes),
    "folder-change": Rule("warning", process_effects.folder_changes),
    "random-seed": Rule("warning", randomness.seeds),
    "unseeded-random": Rule("warning", randomness.unseeded_draws),
    "process-state": Rule("warning", settings.process_state),
    "plot-settings": Rule("warning", process_effects.plot_settings),
    "large-output": Rule("warning", committed_outputs.large_outputs),
    "cells-out-of-order": Rule("warning", committed_outputs.cells_out_of_order),
    "missing-count": Rule("warning", committed_outputs.missing_counts),
    "stale-output": Rule("warning", committed_outputs.stale_outputs),
    "absolute-path": Rule("info", process_effects.absolute_paths),
}

PIPELINE_RULES: dict[str, Rule[Composition]] = {
    "wrong-pipeline-file": Rule("error", pipelines.wrong_files),
    "missing-notebook": Rule("error", pipelines.missing_notebooks),
    "wrong-reference": Rule("error", pipelines.wrong_references),
    "cycle": Rule("error", pipelines.cycles),
    "wrong-pipeline": Rule("error", pipelines.wrong_compositions),
    "unused-parameter": Rule("warning", pipelines.unused_parameters),
    "unmeasured-metric": Rule("warning", pipelines.unmeasured_metrics),
}

ALL_RULES = (
    UNREADABLE,
    MISSING_KERNEL,
    WRONG_COMPOSITION,
    # each once: some rules are of notebooks and of pipeline files
    *dict.fromkeys((*NOTEBOOK_RULES, *PIPELINE_RULES)),
)
