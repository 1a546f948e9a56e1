"""Split rows by the hash of their ids, so that no row changes sides when others are added.

A notebook needs nbci for it as little as anything else:

    side = int(hashlib.sha256(str(row_id).encode()).hexdigest()[:8], 16) / 2**32
    is_test = side < 0.2
"""

from __future__ import annotations

import hashlib

_DIGITS = 8
_RANGE = float(16**_DIGITS)


def is_on_test_side(row_id: object, share: float) -> bool:
    """Whether a row is for testing, where `share` of all rows are, from 0 to 1.

    The id's text decides alone: neither the other rows nor their order. A row that is on the test
    side for one share is so for every larger one, too.

    >>> [is_on_test_side(number, 0.5) for number in range(6)]
    [True, True, False, True, True, False]
    """
    return position(row_id) < share


def position(row_id: object) -> float:
    """Where the row lies between 0 and 1: the first 32 bits of its id's SHA-256."""
    digest = hashlib.sha256(str(row_id).encode()).hexdigest()
    return int(digest[:_DIGITS], 16) / _RANGE
