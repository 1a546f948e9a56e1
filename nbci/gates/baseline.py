"""What gates compare with, as values; finding it is for others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.pipeline.rules import DeclaredMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Metrics to compare with, by full or short names; `source` says in words whose they are.

    `identity` changes when the baseline moves on: a release's tag, a commit, a digest. `declared` holds units and
    directions as they were declared there.
    """

    asked: str
    source: str
    identity: str
    metrics: Mapping[str, float]
    declared: Mapping[str, DeclaredMetric] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBaseline:
    """There is none, for this reason. Only where that is `certain` it is a first run."""

    asked: str
    reason: str
    certain: bool = True
