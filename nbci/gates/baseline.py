"""What gates compare with, as values; finding it is for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.pipeline.rules import DeclaredMetric


class Baseline(Struct, frozen=True, kw_only=True):
    """Metrics to compare with, by full or short names; `source` says in words whose they are.

    `identity` changes when the baseline moves on: a release's tag, a commit, a digest. `declared`
    holds units and directions as they were declared there.
    """

    asked: str
    source: str
    identity: str
    metrics: Mapping[str, float]
    declared: Mapping[str, DeclaredMetric] = field(default_factory=dict)


class NoBaseline(Struct, frozen=True, kw_only=True):
    """There is none, for this reason. Only where that is `certain` it is a first run."""

    asked: str
    reason: str
    certain: bool = True
