"""The values that gates compare a run with; `gates.baselines` finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from nbci.pipeline.rules import DeclaredMetric
    from nbci.records.run_record import FileRef, ParameterValue


class BaselineCode(Struct, frozen=True, kw_only=True):
    """The pipeline that a baseline came from, with the parameters that it had.

    None for those where its metrics do not tell. `commit` is None where no commit has the code.
    """

    commit: str | None
    target: str | None = None
    params: tuple[ParameterValue, ...] | None = None


class Baseline(Struct, frozen=True, kw_only=True):
    """Metrics to compare with, by full or short names.

    `source` names for people what the metrics belong to. `identity` changes when the baseline
    moves on: a release's tag, a commit, a digest. `run` made it, `release` is the commit of the
    evidence, where they are known. `declared` holds units and directions as they were declared
    there. `files` are what its steps made or, of a release, the model; `signature` is what that
    model takes and answers, where it is known. `code` is what it was made from.
    """

    asked: str
    source: str
    identity: str
    run: str | None = None
    release: str | None = None
    metrics: Mapping[str, float]
    declared: Mapping[str, DeclaredMetric] = field(default_factory=dict)
    files: tuple[FileRef, ...] = ()
    signature: Mapping[str, Any] | None = None
    code: BaselineCode | None = None


class NoBaseline(Struct, frozen=True, kw_only=True):
    """The reason why there is no baseline.

    Only a `certain` answer makes this a first run, which a gate may let pass: a remote that cannot
    be asked must not.
    """

    asked: str
    reason: str
    certain: bool = True
