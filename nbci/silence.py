"""Silence for libraries that log what they raise: it lasts as long as anybody asks for it, in
whatever thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()
_asking: list[int] = []
"""The level that was in force when each of those who ask came: the first one's is the user's own.
"""


@contextlib.contextmanager
def without_logs() -> Iterator[None]:
    """Nothing is logged meanwhile; logging is as it was when the last one has left."""
    with _lock:
        _asking.append(logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        with _lock:
            before = _asking[0]
            _asking.pop()
            if not _asking:
                logging.disable(before)
