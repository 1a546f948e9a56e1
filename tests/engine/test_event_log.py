from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbci.engine.event_log import EventLog

if TYPE_CHECKING:
    from pathlib import Path


def _events(path: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for line in path.read_text(encoding="utf-8").split("\n")
        if line.endswith("}")
    ]


def test_a_resumed_run_goes_on_counting(tmp_path: Path) -> None:
    path = tmp_path / "run/events.jsonl"
    log = EventLog(path)
    log.step_started("a", 1)
    log.noticed("a lone \ud800, two\nlines and \u2028")
    log.text_printed("a", "not kept", "stdout")
    EventLog(path).step_started("b", 1)
    assert [(event["seq"], event["event"]) for event in _events(path)] == [
        (0, "step_started"),
        (1, "noticed"),
        (2, "step_started"),
    ]


def test_a_line_that_a_kill_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path).noticed("one")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"seq": 1, "ev')
    log = EventLog(path)
    log.noticed("two")
    log.noticed("three")
    assert [(event["seq"], event["text"]) for event in _events(path)] == [
        (0, "one"),
        (2, "two"),
        (3, "three"),
    ]
