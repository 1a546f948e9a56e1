"""Which of the steps that a run would reuse run again all the same, to see what they give.

Imports nothing heavy: a run with nothing to do asks it, too.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_WHOLE = 100
_DRAW_BYTES = 8


def parse_share(text: str) -> float:
    """Parse a share such as `1%`, which is above 0 % and at most 100 %; ValueError for others."""
    found = _SHARE.fullmatch(text.strip())
    if found is None or not 0 < float(found[1]) <= _WHOLE:
        raise ValueError(f"{text!r} is no share above 0 % and up to 100 %, such as 1%")
    return float(found[1]) / _WHOLE


class Draw(NamedTuple):
    """Draws a share of steps, from 0 to 1, by a seed that is another one for each run.

    Each step is drawn by itself, so over many runs each gets its turn, however few steps a run has.
    Whoever knows the seed can tell which were drawn.
    """

    seed: str
    share: float

    def takes(self, key: str) -> bool:
        """Whether the step with this key is audited; each time the same answer."""
        text = f"{self.seed} {key}".encode()
        digest = hashlib.blake2b(text, digest_size=_DRAW_BYTES).digest()
        return int.from_bytes(digest, "big") < self.share * (1 << 8 * _DRAW_BYTES)
