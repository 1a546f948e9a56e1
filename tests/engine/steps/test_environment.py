"""Steps in environments of their own: made from real lock files and wheels, once, whoever is killed
meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.console import Console
from tests.support.notebooks import write_notebook
from tests.support.processes import wait_for_end
from tests.support.wheels import make_ipykernel_wheel, make_wheel

if TYPE_CHECKING:
    import subprocess

_CELL = (
    "import sys, tiny\nfound = tiny.VERSION\n"
    "print('tiny', found, 'in', sys.prefix)\n!command -v python"
)
_NO_UV = {"PATH": "/usr/bin:/bin"}
_ENDLESS_UV = f"""#!{sys.executable}
import os, signal, sys, time
if sys.argv[1] == 'pip':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(os.environ['STARTED'], 'w') as file:
        file.write(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two steps in one environment, and two wheels to make it from."""
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    write_notebook(root / "n.ipynb", [("step:n", _CELL)])
    # of two equal steps, one would run and the other take its result
    write_notebook(root / "m.ipynb", [("step:n", f"{_CELL}\nother = True")])
    settings = "environment: r.lock, cache: enabled"  # its cell starts another program
    nodes = "".join(
        f"  {name}: {{notebook: {notebook}.ipynb, {settings}}}\n"
        for name, notebook in (("a", "m"), ("b", "n"))
    )
    (root / "p.yaml").write_text(f"pipeline: p\nsteps:\n{nodes}", encoding="utf-8")
    make_ipykernel_wheel(root / "wheels")
    for version in ("1.0", "2.0"):
        make_wheel(root / "wheels", "tiny", version, {"tiny.py": f"VERSION = {version!r}\n"})
    lock(root, "ipykernel==1.0", "tiny==1.0")
    return root


def lock(root: Path, *requirements: str) -> None:
    lines = ("--no-index", "--find-links wheels", *requirements)
    (root / "r.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_steps_run_in_the_environment_of_their_lock_file(project: Path) -> None:
    nbci = Console(project)
    first = nbci("run", "p.yaml", env=_NO_UV)
    assert first.returncode == 0, first.stdout + first.stderr
    assert (
        first.stdout.count("making the environment of r.lock with pip, once on this machine") == 1
    )
    record = json.loads(next((project / ".nbci/runs").glob("*/steps/b/n/record.json")).read_bytes())
    assert [ref["path"] for ref in record["deps"]] == ["r.lock"]
    folder = next(iter((_environments() / _keys()[0]).glob("env-*")))
    assert f"[b/n] tiny 1.0 in {folder}\n" in first.stdout
    assert f"[b/n] {folder}/bin/python\n" in first.stdout
    assert "2 reused" in nbci("run", "p.yaml", env=_NO_UV).stdout
    lock(project, "ipykernel==1.0", "tiny==2.0")
    assert "file r.lock changed" in nbci("plan", "p.yaml", env=_NO_UV).stdout
    changed = nbci("run", "p.yaml", env=_NO_UV)
    assert "tiny 2.0 in" in changed.stdout
    lock(project, "ipykernel==1.0", "tiny==1.0")
    for key in _keys():  # nothing is made only to see that nothing has changed
        (_environments() / key / "made.json").unlink()
    back = nbci("run", "p.yaml", env=_NO_UV)
    assert "2 reused" in back.stdout
    assert "making" not in back.stdout


def test_two_processes_make_it_once(project: Path) -> None:
    nbci = Console(project)
    assert nbci("plan", "p.yaml", "--out", "plan.json").returncode == 0
    steps = [
        nbci.start(
            "step", "--plan", "plan.json", "--store", f"store-{name}", f"{name}/n", env=_NO_UV
        )
        for name in "ab"
    ]
    outputs = [process.communicate(timeout=120)[0] for process in steps]
    assert [process.returncode for process in steps] == [0, 0], outputs
    assert "".join(outputs).count("making the environment of r.lock") == 1
    assert all("tiny 1.0 in" in text for text in outputs)
    assert len(_keys()) == 1


def test_a_lock_file_that_is_not_there_is_refused_at_once(project: Path) -> None:
    (project / "r.lock").unlink()
    done = Console(project)("run", "p.yaml")
    assert done.returncode == 2
    assert (
        "r.lock: step a/n asks for the environment of this lock file, which is not there"
        in done.stderr
    )
    assert not (project / ".nbci" / "runs").exists()


def test_a_lock_file_that_is_given_is_that_of_the_steps_that_name_none(project: Path) -> None:
    nbci = Console(project)
    in_file = json.loads(nbci("plan", "p.yaml", "--json").stdout)
    named = (project / "p.yaml").read_text(encoding="utf-8")
    text = named.replace("environment: r.lock, ", "")
    (project / "p.yaml").write_text(text, encoding="utf-8")
    given = ("--environment", "r.lock")
    as_given = json.loads(nbci("plan", "p.yaml", *given, "--json").stdout)

    assert as_given["environment"] == "r.lock"
    assert "environment" not in in_file
    assert as_given["steps"] == in_file["steps"]
    done = nbci("run", "p.yaml", *given, env=_NO_UV)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tiny 1.0 in" in done.stdout
    # Without it the steps run where nbci does, which has no such module: nothing is reused there.
    assert nbci("run", "p.yaml", env=_NO_UV).returncode == 1
    (project / "p.yaml").write_text(named, encoding="utf-8")
    assert "2 reused" in nbci("run", "p.yaml", env=_NO_UV).stdout


def test_a_step_keeps_the_lock_file_that_it_names(project: Path) -> None:
    (project / "other.lock").write_text((project / "r.lock").read_text())
    (project / "m.yaml").write_text(
        "pipeline: p\nsteps:\n  a: {notebook: n.ipynb, environment: r.lock}\n"
        "  b: {notebook: n.ipynb}\n"
    )
    done = Console(project)("plan", "m.yaml", "--environment", "other.lock", "--json")
    found = {step["name"]: step["environment"] for step in json.loads(done.stdout)["steps"]}
    assert found == {"a/n": "r.lock", "b/n": "other.lock"}


@pytest.mark.parametrize(
    ("given", "message"),
    [("gone.lock", "there is no such lock file"), ("../far.lock", "lies outside the project")],
)
def test_a_lock_file_that_cannot_be_named_in_a_plan_is_refused(
    project: Path, given: str, message: str
) -> None:
    (project.parent / "far.lock").touch()
    for command in ("run", "plan"):
        done = Console(project)(command, "p.yaml", "--environment", given)
        assert done.returncode == 2
        assert message in done.stderr
    assert not (project / ".nbci" / "runs").exists()


def test_a_resumed_run_takes_no_other_lock_file(project: Path) -> None:
    done = Console(project)("run", "--resume", "latest", "--environment", "r.lock")
    assert done.returncode == 2
    assert "a resumed run carries on its own plan" in done.stderr


def test_another_form_of_lock_file_is_refused_with_the_command_that_turns_it_into_one(
    project: Path,
) -> None:
    (project / "p.yaml").write_text(
        "pipeline: p\nsteps: {a: {notebook: n.ipynb, environment: uv.lock}}\n"
    )
    done = Console(project)("run", "p.yaml")
    assert done.returncode == 2
    assert (
        "uv.lock: an environment is made from a lock file in the form of requirements.txt"
        in done.stderr
    )
    assert "uv export" in done.stderr


@pytest.mark.parametrize(
    ("requirements", "message"),
    [
        (
            ("ipykernel==1.0", "tiny==9.0"),
            "r.lock: it cannot be installed: pip ended with exit code 1",
        ),
        (
            ("ipykernel==1.0", "no name"),
            "r.lock: it cannot be installed: pip ended with exit code 1",
        ),
        (("tiny==1.0",), "r.lock: it has no ipykernel, in which the cells of its steps run"),
    ],
)
def test_a_lock_file_that_is_wrong(
    project: Path, requirements: tuple[str, ...], message: str
) -> None:
    lock(project, *requirements)
    done = Console(project)("run", "p.yaml", env=_NO_UV)
    assert done.returncode == 2
    assert f"[a/n] FAILED: {message}" in done.stdout
    assert f"[b/n] FAILED: {message}" in done.stdout
    assert done.stdout.count("making the environment") == 1
    assert ("ERROR: " in done.stdout) == ("pip ended" in message)
    assert list((_environments() / _keys()[0]).glob("*")) == []


def test_an_index_that_cannot_be_reached_is_the_machines_fault(project: Path) -> None:
    (project / "r.lock").write_text("ipykernel\n", encoding="utf-8")
    (project / "p.yaml").write_text(
        "pipeline: p\nsteps: {a: {notebook: n.ipynb, environment: r.lock}}\n"
    )
    away = {**_NO_UV, "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    done = Console(project)("run", "p.yaml", env=away)
    assert done.returncode == 4
    assert "attempt 3 started" in done.stdout
    assert "r.lock: its environment could not be made: pip ended with exit code 1" in done.stdout


def test_an_interrupted_installation_is_ended_and_the_step_recorded(
    project: Path, tmp_path: Path
) -> None:
    process, installer = _installing(project, tmp_path)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for_end(installer)
    record = json.loads(next((project / "left").rglob("record.json")).read_bytes())
    assert record["attempts"][-1]["failure"]["kind"] == "interrupted"
    assert list((_environments() / _keys()[0]).glob("*")) == []


def test_nothing_that_a_killed_process_left_is_used(project: Path, tmp_path: Path) -> None:
    process, installer = _installing(project, tmp_path)
    try:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        left = next(iter((_environments() / _keys()[0]).glob("env-*")))
        done = Console(project)(
            "step", "--plan", "plan.json", "--store", "store", "a/n", env=_NO_UV
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not left.exists()
        assert f"tiny 1.0 in {_environments()}" in done.stdout
    finally:
        os.kill(installer, signal.SIGKILL)


def _installing(project: Path, tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """`nbci step`, and the process that installs for it and will not end."""
    (tmp_path / "bin").mkdir()
    uv, started = tmp_path / "bin" / "uv", tmp_path / "started"
    uv.write_text(_ENDLESS_UV, encoding="utf-8")
    uv.chmod(0o755)
    nbci = Console(project)
    assert nbci("plan", "p.yaml", "--out", "plan.json").returncode == 0
    env = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "STARTED": str(started)}
    process = nbci.start(
        "step", "--plan", "plan.json", "--store", "store", "--leave", "left", "a/n", env=env
    )
    while not started.exists() or not started.read_text(encoding="utf-8"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process, int(started.read_text(encoding="utf-8"))


def _environments() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"]) / "nbci" / "environments"


def _keys() -> list[str]:
    return sorted(path.name for path in _environments().iterdir() if path.name != "locks")
