"""Why a step of a proof differs, found by running it alone with one thing held, then another."""

from __future__ import annotations

import http.server
import itertools
import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.conftest import MakeNotebook
    from tests.support.console import Console


def run_step(nbci: Console, make_notebook: MakeNotebook, source: str, **env: str) -> None:
    """Run a notebook whose step `train` makes a model by this code."""
    cells = [("step:load", "rows = [3, 1, 2]"), ("step:train", source), ("step:use", "model")]
    make_notebook("n.ipynb", cells)
    done = nbci("run", "n.ipynb", env=env)
    assert done.returncode == 0, done.stderr


def cause_of(done: CompletedProcess[str]) -> dict[str, Any]:
    """The cause that a proof names, which found that the step differs."""
    assert done.returncode == 1, done.stderr
    proof = json.loads(done.stdout)
    cause: dict[str, Any] = proof["cause"]
    assert cause["step"] == "train"
    assert proof["sentence"].endswith(f": {cause['sentence']}")
    return cause


def prove(nbci: Console, *options: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    return cause_of(nbci("prove", "--json", *options, env=env))


@pytest.mark.parametrize(
    ("source", "conditions"),
    [
        ("import numpy as np\nmodel = np.random.default_rng().random(3)", ["numpy"]),
        ("import random\nmodel = random.random()", ["random"]),
        ("import random\nmodel = random.Random().random()", ["random"]),
        ("from datetime import datetime\nmodel = datetime.now().isoformat()", ["clock"]),
        (
            "import random, time\nmodel = [random.random(), time.perf_counter_ns() % 100_000]",
            ["random", "clock"],
        ),
    ],
)
def test_the_cause_is_found(
    nbci: Console, make_notebook: MakeNotebook, source: str, conditions: list[str]
) -> None:
    run_step(nbci, make_notebook, source)

    cause = prove(nbci)

    assert cause["conditions"] == conditions
    assert cause["tried"][0] == {"result": "other", "runs": 2}
    assert cause["tried"][-1]["result"] == "same"


def test_it_is_said_on_the_terminal_and_in_the_report(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    run_step(nbci, make_notebook, "import numpy as np\nmodel = np.random.rand(3)")

    done = nbci("prove")

    lines = done.stdout.splitlines()
    assert lines[0].endswith(": it draws from numpy's generator without a seed")
    assert "  why: step train ran 4 times more; what was held, and what came of it:" in lines
    assert "    numpy    it gave the same (2 runs)" in lines
    assert "why does train differ? run 3 alone: a seed for numpy" in done.stderr
    (page,) = (nbci.cwd / ".nbci/runs").glob("*/report/index.html")
    assert "numpy&#x27;s generator without a seed" in page.read_text("utf-8")
    (summary,) = (nbci.cwd / ".nbci/runs").glob("*/report/summary.md")
    assert "generator without a seed" in summary.read_text("utf-8")
    # Its runs are nobody's, once the cause is known.
    assert list((nbci.cwd / ".nbci/workspaces").iterdir()) == []
    assert not list((nbci.cwd / ".nbci/runs").glob("*/runs/*/runs/*"))


def test_the_order_of_a_set(nbci: Console, make_notebook: MakeNotebook) -> None:
    source = "model = list({f'word{number}' for number in range(50)})"
    variable = {"PYTHONHASHSEED": "random", "NBCI_ZYGOTE": "off"}
    run_step(nbci, make_notebook, source, **variable)

    cause = prove(nbci, env=variable)

    assert cause["conditions"] == ["hash seed"]
    assert not cause.get("around", False)


def test_another_hash_seed_than_then(nbci: Console, make_notebook: MakeNotebook) -> None:
    source = "model = list({f'word{number}' for number in range(50)})"
    run_step(nbci, make_notebook, source, PYTHONHASHSEED="5")

    cause = prove(nbci, env={"PYTHONHASHSEED": "6"})

    assert cause["conditions"] == ["hash seed"]
    assert cause["around"]


def test_the_order_of_files_in_a_folder(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    folder = nbci.cwd / "data"
    folder.mkdir()
    for name in "abcdefgh":
        (folder / name).touch()
    # Python starts with this: a file system that lists in another order each time.
    site = outside / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os\nlistdir = os.listdir\n"
        "def shuffled(path='.'):\n"
        "    names = listdir(path)\n"
        "    turn = os.getpid() % max(1, len(names))\n"
        "    return names[turn:] + names[:turn]\n"
        "os.listdir = shuffled\n",
        encoding="utf-8",
    )
    variable = {"PYTHONPATH": f"{site}:{os.environ.get('PYTHONPATH', '')}", "NBCI_ZYGOTE": "off"}
    source = "import os, pathlib\nmodel = [os.listdir('data'), sorted(os.listdir('data'))]"
    run_step(nbci, make_notebook, source, **variable)

    for _ in range(5):
        done = nbci("prove", "--json", env=variable)
        # Two processes in eight have the same turn.
        if done.returncode == 1 and "file order" in json.loads(done.stdout)["cause"].get(
            "conditions", ()
        ):
            break
    assert cause_of(done)["conditions"] == ["file order"]


@pytest.fixture
def counting_server() -> Iterator[str]:
    """A server that answers each request with another number."""
    numbers = itertools.count(1)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(next(numbers) * 1000).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("fails", [True, False])
def test_a_server_that_answers_another_thing(
    nbci: Console, make_notebook: MakeNotebook, counting_server: str, fails: bool
) -> None:
    source = (
        "import urllib.request\n"
        f"try:\n    model = urllib.request.urlopen('{counting_server}').read()\n"
        f"except OSError:\n    model = 'none'\n    if {fails}: raise\n"
    )
    run_step(nbci, make_notebook, source)

    cause = prove(nbci)

    assert cause["conditions"] == ["network"]
    assert ("without which it fails" in cause["sentence"]) == fails


def test_a_step_of_a_matrix_that_takes_and_gives_files(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook("a.ipynb", ["open('a.txt', 'w').write('1')\nopen('beside.txt', 'w').write('2')"])
    make_notebook(
        "b.ipynb",
        [
            ("parameters", "kind = ''"),
            (
                "import json, numpy as np\n"
                "rows = open('a.txt').read() + open('beside.txt').read()\n"
                "json.dump([rows, kind, np.random.rand()], open(f'{kind}.json', 'w'))"
            ),
        ],
    )
    (nbci.cwd / "p.yaml").write_text(
        "steps:\n"
        "  a: {notebook: a.ipynb, outs: [a.txt], cwd: project}\n"
        "  b:\n    matrix: {kind: [x, y]}\n    notebook: b.ipynb\n    deps: [a.txt]\n"
        '    params: {kind: "${matrix.kind}"}\n    outs: ["${matrix.kind}.json"]\n'
        "    cwd: project\n",
        encoding="utf-8",
    )
    done = nbci("run", "p.yaml")
    assert done.returncode == 0, done.stderr
    before = (nbci.cwd / "x.json").read_bytes()

    done = nbci("prove", "--json")

    assert done.returncode == 1, done.stderr
    cause = json.loads(done.stdout)["cause"]
    assert (cause["step"], cause["conditions"]) == ("b/x", ["numpy"])
    assert (nbci.cwd / "x.json").read_bytes() == before


def test_none_of_those_that_are_tried(nbci: Console, make_notebook: MakeNotebook) -> None:
    run_step(nbci, make_notebook, "import os\nmodel = os.urandom(8).hex()")

    cause = prove(nbci)

    assert "conditions" not in cause
    assert cause["sentence"] == (
        "why is not known: it differs also with each of these held: the clock, a seed for random"
    )


def test_what_is_not_the_same_now_as_then(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    flag = outside / "flag"
    run_step(nbci, make_notebook, f"import os\nmodel = os.path.exists({str(flag)!r})")
    flag.touch()

    cause = prove(nbci)

    assert cause["around"]
    assert cause["sentence"].startswith("it gives the same each time that it runs now")


def test_the_cells_own_seed_counts(nbci: Console, make_notebook: MakeNotebook) -> None:
    source = "import random, os\nrandom.seed(7)\nmodel = random.random(), os.urandom(8).hex()"
    run_step(nbci, make_notebook, source)

    assert "conditions" not in prove(nbci)


def test_it_is_not_looked_for_where_nobody_asks(nbci: Console, make_notebook: MakeNotebook) -> None:
    run_step(nbci, make_notebook, "import random\nmodel = random.random()")

    done = nbci("prove", "--no-cause", "--json")

    assert done.returncode == 1
    assert "cause" not in json.loads(done.stdout)


def test_the_search_has_a_limit(nbci: Console, make_notebook: MakeNotebook) -> None:
    run_step(nbci, make_notebook, "import random, time\ntime.sleep(3)\nmodel = random.random()")

    cause = prove(nbci, "--cause-within", "2s")

    assert cause["sentence"].startswith("why is not known: the next run would take 3.")
    assert "tried" not in cause


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_is_ended_costs_only_the_cause(
    nbci: Console, make_notebook: MakeNotebook, outside: Path, number: signal.Signals
) -> None:
    slow = outside / "slow"
    began = outside / "began"
    run_step(
        nbci,
        make_notebook,
        f"import os, time\nmodel = os.urandom(8).hex()\n"
        f"if os.path.exists({str(slow)!r}) and 'why' in os.getcwd():\n"
        f"    open({str(began)!r}, 'w').close()\n    time.sleep(60)",
    )
    slow.touch()
    process = nbci.start("prove", "--json")
    wait_for(began.exists, "the step, run alone")

    process.send_signal(number)
    out, _ = process.communicate(timeout=60)

    if number == signal.SIGINT:
        assert process.returncode == 1
        assert json.loads(out)["cause"]["sentence"] == "why is not known: it was interrupted"
        assert list((nbci.cwd / ".nbci/workspaces").iterdir()) == []
    slow.unlink()
    assert nbci("prove", "--no-cause").returncode == 1
    (latest, first) = json.loads(nbci("show", "latest", "--json").stdout)["proofs"]
    assert latest["agreement"] == first["agreement"] == "different"
    assert list((nbci.cwd / ".nbci/workspaces").iterdir()) == []
