"""Silence libraries that log the exceptions that they raise.

The silence lasts as long as any thread asks for it.
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
"""For each thread that asks, the level in force when it began: the first is the user's own."""


@contextlib.contextmanager
def without_logs() -> Iterator[None]:
    """Log nothing meanwhile; logging is as before once no thread asks for silence any more."""
    # `logging.disable` holds for all threads: the last that asks for silence ends it.
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
