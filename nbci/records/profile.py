"""A profile: what the columns of some data look like, and how far those of other data are away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

FORMAT = 1

ColumnKind = Literal["number", "boolean", "category", "time", "text", "image", "vector"]
"""What a column holds. A text has too many values to be a category, a vector several numbers."""
Problem = Literal["gone", "new", "type", "range", "categories", "missing"]
"""How a column breaks the schema: it is not there any more, was not there, or has other values."""


class ColumnProfile(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One column of `rows` rows, `missing` of which have no value that can be measured.

    NaN is no value. Of the missing, `infinite` are infinite numbers, and `unlike` are values of
    another type than the column's. `low`, `high`, `mean`, `deviation` (of the population) and
    `quantiles`, which stand at evenly spaced shares from 0 to 1, are of numbers; of times in
    seconds since 1970; of texts of their lengths. `counts` are the rows of the most frequent
    values, `others` those of all other values, `distinct` how many values there are, about; numbers
    have them if they have few values. `means` and `deviations` are those of a vector's parts, of
    which there are `width`; where those are very many, of as many blocks of parts side by side.
    `outside` are the rows beyond the range of the profile that the column was measured like. An
    image has none of these: what was measured of it stands in columns of its own,
    `NAME.brightness` and the like.
    """

    name: str
    kind: ColumnKind
    rows: int
    missing: int = 0
    infinite: int = 0
    unlike: int = 0
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float, ...] = ()
    counts: Mapping[str, int] | None = None
    others: int = 0
    distinct: int | None = None
    width: int | None = None
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    outside: int | None = None

    @property
    def values(self) -> int:
        """The rows that have a value."""
        return self.rows - self.missing


class Profile(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The columns of some data; `sources` has the files' digests (MD5, as DVC has them) by path.

    `role` says which data they are: what the model learnt from, or what it was measured on.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    format: int = field(default_factory=lambda: FORMAT)
    role: Literal["training", "evaluation"] = "training"
    sources: Mapping[str, str] | None = None

    def column(self, name: str) -> ColumnProfile | None:
        """The column of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        return None


class CalibrationCurve(Struct, frozen=True, kw_only=True, gc=False):
    """The share of right answers (`shares`) at `scores`, which grow; between them, a line."""

    scores: tuple[float, ...]
    shares: tuple[float, ...]


class Calibration(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How likely a classifier's answers are right by their scores, found on `rows` with labels.

    `curve` is of all answers, `by_class` of those answers of which there were enough.
    """

    rows: int
    classes: tuple[str, ...]
    curve: CalibrationCurve
    by_class: Mapping[str, CalibrationCurve] | None = None


class ReleaseProfile(Profile, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The profile of what a released model learnt from, and of its answers when it was evaluated.

    It is a `Profile` of the training data itself. `evaluation` has the columns `label`,
    `prediction` and, where there are scores, `score`, that of the class that was predicted;
    `calibration` is of the same cases. `features` are rows of a sample of the training data as
    `nbci.profiles.domain` sees them: of images only, of which they are what was measured.
    """

    evaluation: Profile | None = None
    calibration: Calibration | None = None
    features: tuple[tuple[float, ...], ...] = ()


class ColumnDrift(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How far a column of a window is from that of the reference.

    `effect` is the size that rules judge, that of the `measure`: all of them are 0 for equal
    distributions. `limit` is the most that the rules of a monitor allow of it, None where none of
    them is of this column. `wasserstein` is in the reference's deviations, `jensen_shannon` a
    distance between 0 and 1 (to the base of 2), `psi` the population stability index. `p_value` is
    that of the test, `p_corrected` the same corrected for the number of columns (Holm). `outside`
    is the share of rows beyond the reference's range, `new_values` those categories that it has
    not. `rows` are the values of the side that has fewer of them. What is beyond a limit, but may
    be so by chance, has this as its `chance_limit` and no other one. What could not be compared has
    no effect, and says `why`.
    """

    column: str
    kind: ColumnKind
    measure: Literal["psi", "jensen_shannon", "wasserstein"] = "psi"
    effect: float | None = None
    limit: float | None = None
    chance_limit: float | None = None
    psi: float | None = None
    jensen_shannon: float | None = None
    wasserstein: float | None = None
    test: Literal["ks", "chi2"] | None = None
    p_value: float | None = None
    p_corrected: float | None = None
    rows: int | None = None
    missing_share: float = 0.0
    missing_share_before: float = 0.0
    outside: float = 0.0
    new_values: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_drifted(self) -> bool:
        """Whether the effect is more than the rules allow."""
        if self.effect is None or self.limit is None:
            return False
        return self.effect > self.limit


class SchemaFinding(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something of a window that the reference's schema does not have, in a `sentence`.

    `share` is the share of the window's rows that are so.
    """

    column: str
    problem: Problem
    sentence: str
    share: float | None = None
