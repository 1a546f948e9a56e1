"""`nbci jenkins run` on a terminal.

The table of stages changes in place, and Ctrl-C leaves the build alone.
"""

from __future__ import annotations

import os
import pty
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console
    from tests.support.jenkins import FakeJenkins

_INTERRUPT = b"\x03"


def _on_terminal(
    nbci: Console, env: dict[str, str], mode: str, *, interrupt_at: bytes = b""
) -> tuple[int, str]:
    words = nbci._command(("jenkins", "run", "--job", "team/train", "-p", f"NBCI_PARAMS={mode}"))
    environment = {**nbci._environment(env), "TERM": "xterm"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(nbci.cwd)
        os.execve(sys.executable, words, environment)
    said = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other side has closed a terminal
            break
        said += piece
        if interrupt_at and interrupt_at in said:
            os.write(terminal, _INTERRUPT)
            interrupt_at = b""
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


def test_the_stages_stay_below_the_log(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str], tmp_path: Path
) -> None:
    code, said = _on_terminal(nbci, at, "")
    assert code == 0, said
    assert "Finished: SUCCESS" in said
    after = said.rpartition("Finished: SUCCESS")[2]
    assert all(name in after for name in ("plan", "train", "report"))
    assert "IN_PROGRESS" in said


def test_an_interrupted_watch_leaves_the_build_alone(
    nbci: Console, jenkins: FakeJenkins, at: dict[str, str]
) -> None:
    code, said = _on_terminal(nbci, at, "sleep", interrupt_at=b"IN_PROGRESS")
    assert code == 130, said
    assert "the build goes on: `nbci jenkins stop --job team/train 1` ends it" in said
    assert not jenkins.jobs["team/train"].builds[0].stopped
