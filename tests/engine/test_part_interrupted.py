"""`nbci step` under SIGTERM, which is all that Jenkins sends: the kernel is ended, what was done is kept and left."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

from support.console import Console
from support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

_STUBBORN = """
import os, signal, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('so far', flush=True)
Path('started').write_text(str(os.getpid()))
while True:
    time.sleep(60)
"""


def test_a_stubborn_kernel_is_ended_and_its_output_is_kept_and_left(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    nbci = Console(tmp_path)
    write_notebook(tmp_path / "n.ipynb", [("step:fails", "raise ValueError('no')")])
    write_notebook(tmp_path / "m.ipynb", [("step:stubborn", _STUBBORN)])
    (tmp_path / "p.yaml").write_text(
        "pipeline: p\nsteps: {n: {notebook: n.ipynb}, m: {notebook: m.ipynb}}\n", encoding="utf-8"
    )
    assert nbci("plan", "p.yaml", "--out", "plan.json").returncode == 0
    assert nbci("step", "--plan", "plan.json", "--store", "store", "--stage", "1").returncode == 1
    process = nbci.start("step", "--plan", "plan.json", "--store", "store", "--stage", "2", "--leave", "left")
    started = tmp_path / "started"
    while not started.exists() or not started.read_text(encoding="utf-8"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    kernel = int(started.read_text(encoding="utf-8"))
    assert not os.path.exists(f"/proc/{kernel}")
    record = json.loads(next((tmp_path / "left").rglob("record.json")).read_bytes())
    assert record["attempts"][-1]["failure"]["kind"] == "interrupted"
    assert "so far" in next((tmp_path / "left").rglob("notebook.ipynb")).read_text(encoding="utf-8")
    finished = nbci("finish", "--plan", "plan.json", "--store", "store", "--out", "result")
    assert finished.returncode == 1, finished.stderr
    ending = (tmp_path / "result" / "ending.txt").read_text(encoding="utf-8").splitlines()
    assert ending[0] == "nbci-ending 1"
    assert ending[1].startswith("result\tfailure\tp: failed: step n/fails failed: ValueError: no")
    assert (tmp_path / "result" / "report" / "index.html").exists()
