"""The stages of a build, in the words of pipeline-rest-api."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    """The stages in an answer of pipeline-rest-api."""
    return tuple(
        Stage(
            name=str(stage.get("name")),
            status=str(stage.get("status")),
            seconds=(stage.get("durationMillis") or 0) / 1000,
            error=(stage.get("error") or {}).get("message"),
        )
        for stage in (document or {}).get("stages", [])
    )


def read_tree(document: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The stages in an answer of pipeline-graph-view; a branch is left out for what it holds."""
    return tuple(
        Stage(
            name=str(node.get("name")),
            status=_STATES.get(str(node.get("state")), "NOT_EXECUTED"),
            seconds=(node.get("totalDurationMillis") or 0) / 1000,
        )
        for node in _flat((document.get("data") or {}).get("stages") or ())
        if not _is_made_up(node)
    )


def _is_made_up(node: Mapping[str, Any]) -> bool:
    """Whether pipeline-graph-view has made the stage itself, around what stands in none."""
    return bool(node.get("synthetic")) or node.get("name") == "System Generated"


def _flat(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for node in nodes:
        inner = node.get("children") or ()
        if node.get("type") == "STAGE" or not inner:
            yield node
        yield from _flat(inner)
