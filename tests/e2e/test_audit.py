"""Steps whose kept results a run is about to use, run again all the same, and compared."""

from __future__ import annotations

import http.server
import json
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_prove import state_of
from tests.e2e.test_sharing_runs import Machine
from tests.support.notebooks import write_notebook
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_ALL = ("--audit", "100%")


def below_python(path: Path) -> str:
    """Code that reads a number from a file by the C library; the path stands nowhere in it."""
    return read_below_python(f"chr(47).join(['', *{list(path.parts[1:])}])")


def read_below_python(path: str) -> str:
    """The same, from the file whose path is what this expression gives."""
    return (
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.fopen.restype = ctypes.c_void_p\n"
        "libc.fgets.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]\n"
        "text = ctypes.create_string_buffer(100)\n"
        f"opened = libc.fopen(({path}).encode(), b'r')\n"
        "libc.fgets(text, 100, opened)\n"
        "number = float(text.value)\n"
        "del libc, text, opened, ctypes"
    )


class Hidden:
    """A project whose step `train` reads a file that nbci does not see."""

    def __init__(self, nbci: Console, file: Path) -> None:
        self.nbci = nbci
        self.root = nbci.cwd
        self.file = file
        self.change(1.5)
        train = (
            f"{below_python(file)}\nimport json\n"
            "model = {'coef': [number, 2.0]}\njson.dump(model, open('model.json', 'w'))"
        )
        cells = [
            ("step:load", "rows = [1, 2, 3]"),
            ("step:train out:model.json", f"{train}\nsize = len(rows)"),
            ("step:evaluate", "score = model['coef'][0] * size"),
            ("pipeline-metrics", "print(score)"),
        ]
        write_notebook(self.root / "n.ipynb", cells)

    def change(self, number: float) -> None:
        self.file.write_text(f"{number!r}\n", encoding="utf-8")

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = self.nbci("run", "n.ipynb", "--json", *arguments)
        assert done.returncode == code, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


def results_of(run: dict[str, Any]) -> list[str]:
    return [step["result"] for step in run["steps"]]


def audit_of(run: dict[str, Any], step: str) -> dict[str, Any]:
    (found,) = [each for each in run["steps"] if each["name"] == step]
    audit: dict[str, Any] = found["audit"]
    return audit


@pytest.fixture
def hidden(nbci: Console, tmp_path_factory: pytest.TempPathFactory) -> Hidden:
    return Hidden(nbci, tmp_path_factory.mktemp("elsewhere") / "value.txt")


def test_an_audit_finds_an_input_that_nothing_else_sees(hidden: Hidden) -> None:
    hidden.run()
    hidden.change(2.5)

    unaware = hidden.run()
    assert results_of(unaware) == ["reused"] * 3
    assert unaware["metrics"] == {"evaluate:score": 4.5}

    aware = hidden.run(*_ALL)

    assert results_of(aware) == ["reused", "passed", "passed"]
    assert aware["metrics"] == {"evaluate:score": 7.5}
    assert json.loads((hidden.root / "model.json").read_text()) == {"coef": [2.5, 2.0]}
    audit = audit_of(aware, "train")
    assert (audit["agreement"], audit["cause"]) == ("different", "input")
    assert audit["items"][0]["name"] == "model"
    assert audit["items"][0]["reason"] == "1.5 before, 2.5 now"
    (warning,) = aware["warnings"]
    assert warning.startswith("train: it does not give what run ")
    assert "an input that nbci does not see has changed" in warning

    # What was kept before is found by no run any more, and what the audit's run made is.
    after = hidden.run()
    assert results_of(after) == ["reused"] * 3
    assert after["metrics"] == {"evaluate:score": 7.5}
    assert {step["run"] for step in after["steps"]} == {unaware["steps"][0]["run"], aware["run"]}
    assert "audit" not in after["steps"][1]
    assert after["warnings"] == []


def test_where_the_result_is_the_same_nothing_of_the_users_is_touched(hidden: Hidden) -> None:
    made = hidden.run()
    before = state_of(hidden.root)

    run = hidden.run(*_ALL)

    assert results_of(run) == ["reused"] * 3
    assert state_of(hidden.root) == before
    assert {step["run"] for step in run["steps"]} == {made["run"]}
    assert [step["audit"]["agreement"] for step in run["steps"]] == ["identical"] * 3
    assert list((hidden.root / ".nbci/workspaces").iterdir()) == []
    assert run["warnings"] == []
    shown = hidden.nbci("show", "latest").stdout
    assert shown.count("it gave the same bit for bit") == 3
    page = (hidden.root / ".nbci/runs" / run["run"] / "report/index.html").read_text("utf-8")
    assert "run again for an audit, and the same: load, train, evaluate" in page


def test_what_was_run_again_belongs_to_the_run(hidden: Hidden) -> None:
    hidden.run()
    run = hidden.run(*_ALL)
    audit = audit_of(run, "train")["run"]

    listed = json.loads(hidden.nbci("runs", "--json").stdout)
    (belonging,) = json.loads(hidden.nbci("runs", "--of", run["run"], "--json").stdout)
    shown = json.loads(hidden.nbci("show", audit, "--json").stdout)

    assert audit not in {row["run"] for row in listed}
    assert (belonging["run"], belonging["role"]) == (audit, "audit")
    assert results_of(shown) == ["passed"] * 3
    assert hidden.nbci("promote", audit).returncode == 2


def test_another_command_does_not_stand_on_what_an_audit_found_to_be_wrong(hidden: Hidden) -> None:
    hidden.run()
    command = ("run", "n.ipynb", "--no-gate")
    hidden.nbci(*command)
    assert "3 reused" in hidden.nbci(*command).stdout
    hidden.change(2.5)
    hidden.run(*_ALL)

    assert "evaluate:score    7.5" in hidden.nbci(*command).stdout


def test_a_result_that_is_equal_within_the_tolerance_is_kept(hidden: Hidden) -> None:
    hidden.run()
    hidden.change(1.5 + 1e-9)

    done = hidden.nbci("run", "n.ipynb", *_ALL)

    assert "it gave the same within a tolerance of 1e-06: value model" in done.stdout
    assert "3 reused; 3 audited\n" in done.stdout
    assert json.loads((hidden.root / "model.json").read_text()) == {"coef": [1.5, 2.0]}


def test_a_step_that_fails_when_it_runs_again_is_said_to_be_unchecked(hidden: Hidden) -> None:
    hidden.run()
    hidden.file.write_text("no number", encoding="utf-8")

    done = hidden.nbci("run", "n.ipynb", *_ALL)

    assert done.returncode == 0
    assert "step train: it was not audited, and its kept result is used unchecked: " in done.stdout
    assert "could not convert string to float" in done.stdout
    assert "3 reused" in done.stdout


def test_a_file_is_named_whose_path_a_step_before_has_read(
    nbci: Console, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("elsewhere") / "value.txt"
    file.write_text("1.5\n", encoding="utf-8")
    (nbci.cwd / "settings.json").write_text(json.dumps({"data": str(file)}), encoding="utf-8")
    load = "import json\nplace = json.load(open('settings.json'))['data']"
    train = read_below_python("place")
    cells = [("step:load", load), ("step:train", train), ("step:use", "print(number)")]
    write_notebook(nbci.cwd / "n.ipynb", cells)
    nbci("run", "n.ipynb")
    file.write_text("2.5\n", encoding="utf-8")
    assert "3 reused" in nbci("run", "n.ipynb").stdout

    done = nbci("run", "n.ipynb", *_ALL)

    assert f"it may be the file {file}, which has changed since" in done.stdout
    # From now on it counts like any file that was seen.
    assert "3 reused" in nbci("run", "n.ipynb").stdout
    file.write_text("3.5\n", encoding="utf-8")
    assert "[use] 3.5" in nbci("run", "n.ipynb").stdout


def test_a_secret_in_what_differs_is_masked(nbci: Console, make_notebook: MakeNotebook) -> None:
    code = (
        "import json, os, time\n"
        "note = os.environ['API_TOKEN'] + ' ' + str(time.time_ns())\n"
        "json.dump({'note': note}, open('note.json', 'w'))\ndel note"
    )
    make_notebook("n.ipynb", [("step:one secret:API_TOKEN out:note.json", code)])
    secret = {"API_TOKEN": "hunter2-hunter2"}
    nbci("run", "n.ipynb", env=secret)

    done = nbci("run", "n.ipynb", *_ALL, env=secret)

    assert "file note.json (.note: " in done.stdout
    for file in (nbci.cwd / ".nbci/runs").rglob("*"):
        if file.is_file():
            assert b"hunter2" not in file.read_bytes(), file
    assert "hunter2" not in done.stdout + done.stderr


@contextmanager
def server(answers: list[str]) -> Iterator[int]:
    """A server on this machine that answers with the first of these; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[0].encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
            pass

    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        yield serving.server_address[1]
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


def test_a_server_is_named_that_answers_something_else(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    answers = ["3"]
    with server(answers) as port:
        code = (
            "import urllib.request\n"
            f"answer = urllib.request.urlopen('http://127.0.0.1:{port}').read()\n"
            "price = int(answer)"
        )
        make_notebook("n.ipynb", [("step:ask cache:enabled", code), ("step:use", "print(price)")])
        nbci("run", "n.ipynb")
        answers[0] = "4"
        assert "2 reused" in nbci("run", "n.ipynb").stdout

        done = nbci("run", "n.ipynb", *_ALL)

    assert done.returncode == 0
    assert "it may be what 127.0.0.1 answers" in done.stdout
    assert "value price" in done.stdout
    assert "[use] 4" in done.stdout


_TIME = "import time\nstamp = time.time_ns()"


def test_a_result_that_is_another_each_time_is_not_kept(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook("n.ipynb", [("step:stamp", _TIME), ("step:use", "print(stamp)")])
    nbci("run", "n.ipynb")
    assert "2 reused" in nbci("run", "n.ipynb").stdout

    done = nbci("run", "n.ipynb", *_ALL)

    assert "It gives another result each time; it uses time.time_ns in cell 1" in done.stdout
    assert "2 passed" in nbci("run", "n.ipynb").stdout
    assert "2 passed" in nbci("run", "n.ipynb").stdout
    why = nbci("why", "n.ipynb", "stamp").stdout
    assert "an audit found that it gives another result each time" in why
    # Who asks for it has it kept all the same.
    make_notebook("n.ipynb", [("step:stamp cache:enabled", _TIME), ("step:use", "print(stamp)")])
    nbci("run", "n.ipynb")
    assert "2 reused" in nbci("run", "n.ipynb").stdout


def test_a_result_that_holds_the_folder_is_kept(nbci: Console, make_notebook: MakeNotebook) -> None:
    code = "import os\nopen('where.txt', 'w').write(os.path.abspath('here'))"
    make_notebook("n.ipynb", [("step:one out:where.txt", code)])
    nbci("run", "n.ipynb")

    done = nbci("run", "n.ipynb", *_ALL)

    assert "In the project's folder the kept result came again" in done.stdout
    assert (nbci.cwd / "where.txt").read_text() == str(nbci.cwd / "here")
    assert "1 reused" in nbci("run", "n.ipynb").stdout


def test_a_share_in_the_project_holds_for_runs_with_nothing_to_do(hidden: Hidden) -> None:
    settings = hidden.root / "pyproject.toml"
    # So few that none of these runs has a step drawn.
    settings.write_text('[tool.nbci]\naudit = "0.000001%"\n', encoding="utf-8")
    hidden.run()
    hidden.run()
    quick = hidden.nbci("run", "n.ipynb")
    # Said by a run that looks at the steps, and not by one that knows of nothing to do.
    assert "[train]" not in quick.stdout
    assert "3 reused from run" in quick.stdout

    settings.write_text('[tool.nbci]\naudit = "100%"\n', encoding="utf-8")
    hidden.nbci("run", "n.ipynb")
    hidden.change(2.5)
    done = hidden.nbci("run", "n.ipynb")

    assert "3 audited" not in done.stdout
    assert "2 audited, other results: train" in done.stdout


@pytest.fixture
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that a step reads unseen."""
    file = tmp_path_factory.mktemp("elsewhere") / "value.txt"
    file.write_text("1.5\n", encoding="utf-8")
    return file


@pytest.fixture
def machines(tmp_path: Path, file: Path) -> tuple[Machine, ...]:
    """Three clones of one project with caches of their own, and one remote."""
    cells = [("step:train", below_python(file)), ("step:use", "print(number)")]
    machines = tuple(Machine(tmp_path / name, tmp_path / "remote") for name in "abc")
    for machine in machines:
        write_notebook(machine.root / "n.ipynb", cells)
    return machines


def makers(machine: Machine) -> list[str]:
    """The runs that made the results of the machine's latest run."""
    shown = json.loads(machine.call("show", "latest", "--json").stdout)
    return [step["run"] for step in shown["steps"]]


def test_what_was_found_to_be_wrong_is_not_taken_from_the_remote_again(
    machines: tuple[Machine, ...], file: Path
) -> None:
    one, two, three = machines
    one.run()
    file.write_text("2.5\n", encoding="utf-8")
    assert two.run() == ["reused", "reused"]
    assert makers(two) == makers(one)

    assert two.run(*_ALL) == ["passed", "passed"]

    new = makers(two)
    assert two.run() == ["reused", "reused"]
    assert makers(two) == new
    # A machine that has none of them learns which one is wrong.
    assert three.run() == ["reused", "reused"]
    assert makers(three) == new


def test_others_learn_that_a_result_is_another_each_time(machines: tuple[Machine, ...]) -> None:
    one, two, three = machines
    for machine in machines:
        write_notebook(machine.root / "n.ipynb", [("step:a", _TIME), ("step:b", "print(stamp)")])
    one.run()
    assert two.run(*_ALL) == ["passed", "passed"]

    assert three.run() == ["passed", "passed"]
    assert three.run() == ["passed", "passed"]


def build(machine: Machine, tag: str, tmp_path: Path) -> dict[str, Any]:
    """A build of CI: plan, steps and finish, with a store of its own; what it shows."""
    store = str(tmp_path / f"store-{tag}")
    environ = {"NBCI_CACHE": str(machine.cache), "BUILD_TAG": tag}
    plan = ("--plan", "plan.json", "--store", store)
    for words in (
        ("plan", "n.ipynb", "--out", "plan.json", "--store", store, "--leave", f"{store}-0"),
        ("step", *plan, "--bring", f"{store}-in", "train"),
        ("step", *plan, "use"),
    ):
        done = machine.nbci(*words, env=environ)
        assert done.returncode == 0, done.stderr + done.stdout
    done = machine.nbci("finish", *plan, "--json", env=environ)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_builds_of_ci_audit_what_they_take_from_the_remote(
    machines: tuple[Machine, ...], file: Path, tmp_path: Path
) -> None:
    one, *_ = machines
    settings = one.root / "pyproject.toml"
    first = build(one, "job-1", tmp_path)
    file.write_text("2.5\n", encoding="utf-8")
    assert results_of(build(one, "job-2", tmp_path)) == ["reused", "reused"]
    settings.write_text(settings.read_text() + 'audit = "100%"\n', encoding="utf-8")

    audited = build(one, "job-3", tmp_path)

    assert results_of(first) == ["passed", "passed"]
    assert results_of(audited) == ["passed", "passed"]
    audit = audit_of(audited, "train")
    assert (audit["agreement"], audit["cause"]) == ("different", "input")
    assert "run" not in audit
    same = build(one, "job-4", tmp_path)
    assert results_of(same) == ["reused", "reused"]
    assert [step["audit"]["agreement"] for step in same["steps"]] == ["identical", "identical"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_audit_that_is_broken_off_leaves_no_trace(
    nbci: Console, tmp_path_factory: pytest.TempPathFactory, number: signal.Signals
) -> None:
    seconds = tmp_path_factory.mktemp("elsewhere") / "seconds.txt"
    seconds.write_text("0\n", encoding="utf-8")
    code = (
        "open('out.txt', 'w').write('mine')\n"
        f"{below_python(seconds)}\nimport time\ntime.sleep(number)\ndel number"
    )
    write_notebook(nbci.cwd / "n.ipynb", [("step:one out:out.txt", code)])
    assert nbci("run", "n.ipynb").returncode == 0
    before = state_of(nbci.cwd)
    seconds.write_text("300\n", encoding="utf-8")
    process = nbci.start("run", "n.ipynb", *_ALL)
    workspaces = nbci.cwd / ".nbci/workspaces"
    wait_for(lambda: any(workspaces.glob("*/files/out.txt")), "the step in the workspace")

    process.send_signal(number)
    process.communicate(timeout=60)

    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert state_of(nbci.cwd) == before
    seconds.write_text("0\n", encoding="utf-8")
    done = nbci("run", "n.ipynb", "--json", *_ALL)
    assert audit_of(json.loads(done.stdout), "one")["agreement"] == "identical"
    assert list(workspaces.iterdir()) == []


def test_two_runs_may_audit_at_once(hidden: Hidden) -> None:
    hidden.run()
    processes = [hidden.nbci.start("run", "n.ipynb", "--json", *_ALL) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    for out, _ in outputs:
        run = json.loads(out)
        assert [step["audit"]["agreement"] for step in run["steps"]] == ["identical"] * 3


def test_without_room_for_a_workspace_the_kept_result_is_used_unchecked(hidden: Hidden) -> None:
    hidden.run()
    (hidden.root / ".nbci/workspaces").write_text("in the way", encoding="utf-8")

    done = hidden.nbci("run", "n.ipynb", *_ALL)

    assert done.returncode == 0
    assert "its kept result is used unchecked: " in done.stdout
    assert "3 reused; 0 audited, not checked: load, train, evaluate" in done.stdout
