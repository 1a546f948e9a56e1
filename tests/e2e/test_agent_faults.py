"""What goes wrong on agents.

Other clocks, no kernel, no room, two processes at once, processes that were killed.
"""

from __future__ import annotations

import json
import os
import resource
import time
from typing import TYPE_CHECKING

from tests.support.console import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_AN_HOUR_BEHIND = """
import datetime, platform, time
_time, _ns = time.time, time.time_ns
time.time = lambda: _time() - 3600
time.time_ns = lambda: _ns() - 3600 * 10**9
platform.node = lambda: "behind"
class Earlier(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)
datetime.datetime = Earlier
"""


def planned(nbci: Console, target: str, env: dict[str, str] | None = None) -> None:
    done = nbci("plan", target, "--out", "plan.json", env=env)
    assert done.returncode == 0, done.stderr


def test_a_kernel_that_the_agent_lacks_is_named_and_nothing_runs(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook("n.ipynb", ["x = 1"], kernel="nowhere")
    planned(nbci, "n.ipynb")
    done = nbci("step", "--plan", "plan.json", "--store", "store")
    assert done.returncode == 2
    assert "n.ipynb: there is no kernel named `nowhere`; installed are: " in done.stderr
    assert not list((nbci.cwd / "store").rglob("record.json"))


def test_two_processes_that_carry_out_one_stage_run_it_once(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    """As when an agent comes back whose stage was given to another executor."""
    code = (
        "import os, time\nopen('ran', 'a').write('once ')\n"
        "while not os.path.exists('go'): time.sleep(0.05)"
    )
    make_notebook("n.ipynb", [code])
    planned(nbci, "n.ipynb")
    step = ("step", "--plan", "plan.json", "--store", "store", "--leave")
    first = nbci.start(*step, "one")
    while not (nbci.cwd / "ran").exists():
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    second = nbci.start(*step, "two")
    assert second.stdout is not None
    assert (
        second.stdout.readline() == "waiting for another process, which runs step n in this store\n"
    )
    (nbci.cwd / "go").touch()
    assert [process.wait(timeout=60) for process in (first, second)] == [0, 0]
    for process in (first, second):
        process.communicate()
    assert (nbci.cwd / "ran").read_text() == "once "
    left = [next((nbci.cwd / name).rglob("record.json")).read_bytes() for name in ("one", "two")]
    assert left[0] == left[1]


def test_a_stage_that_was_killed_is_carried_on(nbci: Console, make_notebook: MakeNotebook) -> None:
    done = "open('first', 'a').write('once ')"
    code = (
        "import os, time\nopen('here', 'w').close()\n"
        "while not os.path.exists('go'): time.sleep(0.05)\nprint('at last')"
    )
    make_notebook("n.ipynb", [("step:a", done), ("step:b", code)])
    planned(nbci, "n.ipynb")
    step = ("step", "--plan", "plan.json", "--store", "store", "--stage", "1", "--leave", "left")
    first = nbci.start(*step)
    while not (nbci.cwd / "here").exists():
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.kill()
    first.communicate()
    with next((nbci.cwd / "store").rglob("events.jsonl")).open("a") as events:
        events.write('{"half a li')
    (nbci.cwd / "go").touch()
    again = nbci(*step)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (nbci.cwd / "first").read_text() == "once "
    finished = nbci("finish", "--plan", "plan.json", "--store", "store", "--json")
    assert finished.returncode == 0, finished.stderr
    assert [
        (step["result"], step["attempts"]) for step in json.loads(finished.stdout)["steps"]
    ] == [
        ("passed", 1),
        ("passed", 2),
    ]


def test_a_disk_without_room_is_the_machines_fault_and_is_recorded(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook(
        "n.ipynb",
        [("step:a", "x = b'1' * 20_000_000\nprint('so far')"), ("step:b", "print(len(x))")],
    )
    planned(nbci, "n.ipynb")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, hard))
    try:
        done = nbci("step", "--plan", "plan.json", "--store", "store", "--leave", "left")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.returncode == 4
    assert (
        "`x` (type bytes), which step `b` needs, made by step `a`, cannot be written: "
        "File too large"
    ) in done.stdout
    record = json.loads((next((nbci.cwd / "left").rglob("steps/a")) / "record.json").read_bytes())
    assert [attempt["failure"]["kind"] for attempt in record["attempts"]] == ["infrastructure"] * 3
    assert nbci("step", "--plan", "plan.json", "--store", "store").returncode == 0


def test_odd_parameters_arrive_as_they_are(nbci: Console, make_notebook: MakeNotebook) -> None:
    odd = "a'b\"c\n$HOME `id` $(id) ü🎉\t\\ \r\n %s {x} ${y} </script>\N{LINE SEPARATOR}"
    value = odd + "é" * 50_000
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "text = ''"),
            ("step:a", "x = text"),
            ("step:b", "open('got', 'w', encoding='utf-8', newline='').write(x)"),
        ],
    )
    planned(nbci, "n.ipynb", {"NBCI_PARAM_text": value})
    assert nbci("step", "--plan", "plan.json", "--store", "store", "--stage", "1").returncode == 0
    assert (nbci.cwd / "got").read_bytes().decode() == value
    finished = nbci("finish", "--plan", "plan.json", "--store", "store", "--out", "result")
    assert finished.returncode == 0, finished.stderr
    run = next((nbci.cwd / ".nbci" / "runs").glob("*/run.json"))
    assert json.loads(run.read_bytes())["params"][0]["value"] == value


def test_an_agent_whose_clock_is_behind(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook(
        "n.ipynb", [("step:a", "x = 1"), ("step:b agent:other", "print(x)"), ("step:c", "print(2)")]
    )
    planned(nbci, "n.ipynb")
    (tmp_path / "behind").mkdir()
    (tmp_path / "behind" / "sitecustomize.py").write_text(_AN_HOUR_BEHIND, encoding="utf-8")
    path = os.pathsep.join(
        filter(None, [str(tmp_path / "behind"), os.environ.get("PYTHONPATH", str(ROOT))])
    )
    for stage, env in (("1", {}), ("2", {"PYTHONPATH": path}), ("3", {})):
        done = nbci("step", "--plan", "plan.json", "--store", "store", "--stage", stage, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    finished = nbci("finish", "--plan", "plan.json", "--store", "store")
    assert finished.returncode == 0, finished.stderr
    run = json.loads(next((tmp_path / ".nbci" / "runs").glob("*/run.json")).read_bytes())
    assert any(
        text.startswith("the clocks of ") and " differ by 3" in text for text in run["warnings"]
    )
    assert "seconds" not in run
