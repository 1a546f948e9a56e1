"""Logs are silent while anybody asks for it, and as before when all have left."""

from __future__ import annotations

import logging
import threading

import pytest

from nbci.silence import without_logs


def test_two_threads_that_overlap_leave_logging_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    entered, may_leave = threading.Event(), threading.Event()

    def other() -> None:
        with without_logs():
            entered.set()
            may_leave.wait(10)

    thread = threading.Thread(target=other)
    with without_logs():
        thread.start()
        assert entered.wait(10)
        logging.getLogger("library").error("unheard")
    logging.getLogger("library").error("unheard")
    may_leave.set()
    thread.join()
    logging.getLogger("library").error("heard")

    assert logging.root.manager.disable == logging.NOTSET
    assert [record.message for record in caplog.records] == ["heard"]


def test_what_was_disabled_before_stays_so() -> None:
    logging.disable(logging.DEBUG)
    try:
        with pytest.raises(KeyError), without_logs():
            raise KeyError
        assert logging.root.manager.disable == logging.DEBUG
    finally:
        logging.disable(logging.NOTSET)
