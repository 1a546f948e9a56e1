"""What is held in a process: the same in two of them, and nothing else is changed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.console import ROOT


def run(condition: str, code: str) -> str:
    """What the code prints in a new process with the condition held."""
    text = (
        "from nbci.inkernel import held_conditions\n"
        f"held_conditions.install([{condition!r}])\n{code}\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", text],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("random", "import random; print(random.random(), random.Random().random())"),
        ("random", "import random; random.seed(); print(random.random())"),
        ("numpy", "import numpy as np; print(np.random.rand(), np.random.default_rng().random())"),
        ("numpy", "import numpy.random; numpy.random.seed(); print(numpy.random.rand())"),
        (
            "clock",
            "import time; print(time.time(), time.time_ns(), time.ctime(), time.localtime())",
        ),
        ("clock", "import time; print(time.perf_counter(), time.strftime('%c'), time.asctime())"),
        ("clock", "from datetime import *; print(datetime.now(), datetime.utcnow(), date.today())"),
        ("clock", "from datetime import *; print(datetime.now(timezone.utc), datetime.today())"),
        ("clock", "import gzip; print(gzip.compress(b'a'))"),
    ],
)
def test_two_processes_get_the_same(condition: str, code: str) -> None:
    first, second = run(condition, code), run(condition, code)

    assert first == second
    assert first != run("network", code)


def test_a_seed_of_the_cells_own_counts() -> None:
    code = "import random, numpy as np; random.seed(3); np.random.seed(3)\n"
    code += "print(random.random(), np.random.rand(), np.random.default_rng(3).random())"

    assert run("random", code) == run("numpy", code) == run("network", code)


def test_dates_stay_what_they_are() -> None:
    code = (
        "import datetime, pickle, copy\n"
        "now = datetime.datetime.now()\n"
        "assert type(now) is datetime.datetime\n"
        "assert pickle.loads(pickle.dumps(now)) == copy.deepcopy(now) == now\n"
        "class Own(datetime.datetime): pass\n"
        "assert type(Own.now()) is Own\n"
        "assert datetime.datetime(2020, 1, 2).year == 2020\n"
        "assert datetime.datetime.fromtimestamp(0, datetime.timezone.utc).year == 1970\n"
    )
    run("clock", code)


def test_who_waits_for_a_time_does_not_wait_for_ever() -> None:
    code = (
        "import time\n"
        "end = time.time() + 1\n"
        "while time.time() < end: pass\n"
        "before = time.time()\n"
        "time.sleep(0.01)\n"
        "assert time.time() - before >= 0.01\n"
    )
    run("clock", code)


def test_the_kernels_own_machinery_goes_by_the_true_time() -> None:
    code = (
        "import time\n"
        "scope = {'__name__': 'ipykernel.kernelbase', 'time': time}\n"
        "exec('first = time.time(); second = time.time()', scope)\n"
        "assert abs(scope['second'] - scope['first']) < 0.001, scope\n"
    )
    run("clock", code)


def test_files_come_in_the_order_of_their_names() -> None:
    code = (
        "import glob, os, pathlib, tempfile\n"
        "place = tempfile.mkdtemp()\n"
        "for name in 'bdac': pathlib.Path(place, name).touch()\n"
        "listed = [os.listdir(place), [path.name for path in pathlib.Path(place).iterdir()],\n"
        "  [entry.name for entry in os.scandir(place)], next(os.walk(place))[2],\n"
        "  [os.path.basename(path) for path in glob.glob(place + '/*')]]\n"
        "with os.scandir(place) as entries: next(entries)\n"
        "print({''.join(names) for names in listed})\n"
    )

    assert run("file order", code) == "{'abcd'}\n"
    assert run("file order reversed", code) == "{'dcba'}\n"


def test_the_network_is_cut_but_for_the_steps_own_servers() -> None:
    code = (
        "import socket, sys\n"
        "from nbci.inkernel import network_traces\n"
        "other = socket.create_server(('127.0.0.1', 0))\n"
        "try:\n    socket.create_connection(other.getsockname())\n"
        "except OSError as error:\n    print(error.errno)\n"
        "network_traces.note_server(other, other.getsockname())\n"
        "socket.create_connection(other.getsockname()).close()\n"
    )

    assert run("network", code) == "101\n"
