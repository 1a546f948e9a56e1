"""The stages of a build, in the words of pipeline-rest-api."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# what pipeline-graph-view calls a state → what pipeline-rest-api calls it, so that one
# table can be filled from both in the course of a build
_STATES = {
    "success": "SUCCESS",
    "running": "IN_PROGRESS",
    "failure": "FAILED",
    "unstable": "UNSTABLE",
    "aborted": "ABORTED",
    "paused": "PAUSED_PENDING_INPUT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage: SUCCESS, IN_PROGRESS, FAILED, UNSTABLE, ABORTED, NOT_EXECUTED, ..."""

    name: str
    status: str
    seconds: float
    error: str | None = None


def read_stages(document: Mapping[str, Any] | None) -> tuple[Stage, ...]:
    """Read the stages of an answer of pipeline-rest-api: a flat list, in order of appearance."""
    if document is None:
        return ()
    return tuple(map(_read_stage, document.get("stages", ())))


def read_tree(document: Mapping[str, Any]) -> tuple[Stage, ...]:
    """Read the stages of an answer of pipeline-graph-view; branches give those that they hold."""
    stages = []
    for node in _flatten((document.get("data") or {}).get("stages") or ()):
        if _is_synthetic(node):
            continue
        stage = Stage(
            name=str(node.get("name")),
            status=_STATES.get(str(node.get("state")), "NOT_EXECUTED"),
            seconds=(node.get("totalDurationMillis") or 0) / 1000,
        )
        stages.append(stage)
    return tuple(stages)


def _read_stage(stage: Mapping[str, Any]) -> Stage:
    return Stage(
        name=str(stage.get("name")),
        status=str(stage.get("status")),
        seconds=(stage.get("durationMillis") or 0) / 1000,
        error=(stage.get("error") or {}).get("message"),
    )


def _is_synthetic(node: Mapping[str, Any]) -> bool:
    """Whether pipeline-graph-view added the stage, around steps that stand in none."""
    # not every answer has the field: then the name tells
    return bool(node.get("synthetic")) or node.get("name") == "System Generated"


def _flatten(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for node in nodes:
        inner = node.get("children") or ()
        # nbci's chains of stages nest as branches in branches, which say nothing to a reader
        if node.get("type") == "STAGE" or not inner:
            yield node
        yield from _flatten(inner)
