"""Tables of predictions for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nbci.behaviour.pairing import pair
from nbci.behaviour.predictions import predictions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.behaviour.pairing import Pair

    Columns = Mapping[str, Any]


def pair_of(run: Columns, baseline: Columns) -> Pair:
    """Both tables' predictions, brought together."""
    return pair(
        predictions_of(pa.table(run), "new.csv"), predictions_of(pa.table(baseline), "old.csv")
    )
