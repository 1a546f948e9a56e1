"""`nbci doctor` names what a machine lacks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from nbci.app.health import Check
from nbci.cli.doctor import render_checks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console

_NAMES = [
    *(
        "Python",
        "nbci",
        "kernel python3",
        "project",
        "disk",
        "temporary",
        "runtime",
        "shared memory",
        "locale",
    ),
    *("processors", "memory", "git", "environments", "GPU", "dvc"),
]


def checks(
    nbci: Console, *arguments: str, code: int = 0, env: dict[str, str] | None = None
) -> dict[str, Any]:
    looked = nbci("doctor", "--json", *arguments, env=env)
    assert looked.returncode == code, looked.stdout + looked.stderr
    return {check["name"]: check for check in json.loads(looked.stdout)}


def add_kernel(folder: Path, name: str, argv: list[str]) -> dict[str, str]:
    place = folder / "kernels" / name
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": name, "language": "python"})
    )
    return {"JUPYTER_PATH": str(folder)}


def test_a_machine_that_can_run_the_tests_lacks_nothing(nbci: Console) -> None:
    found = checks(nbci)
    assert [name for name in found if name in _NAMES] == _NAMES
    assert not [name for name, check in found.items() if check["state"] == "missing"]
    assert all(check["advice"] for check in found.values() if check["state"] != "ok")
    assert found["kernel python3"]["state"] == "ok"
    assert "ipykernel" in found["kernel python3"]["found"]


def test_a_kernel_without_its_program_is_named(nbci: Console, tmp_path: Path) -> None:
    found = checks(
        nbci, env=add_kernel(tmp_path, "gone", ["/nowhere/python", "-m", "ipykernel_launcher"])
    )
    assert found["kernel gone"]["state"] == "note"
    assert "/nowhere/python does not exist" in found["kernel gone"]["found"]


def test_kernels_are_started_on_request(nbci: Console, tmp_path: Path) -> None:
    broken = add_kernel(
        tmp_path, "broken", [sys.executable, "-c", "raise SystemExit(3)", "{connection_file}"]
    )
    found = checks(nbci, "--start", env=broken)
    assert found["kernel broken"]["found"].startswith("does not start")
    assert found["kernel python3"]["found"].endswith("starts")


def test_an_idle_time_that_is_no_duration_is_refused(nbci: Console) -> None:
    done = nbci("kernels", "start", "--idle", "soon")
    assert done.returncode == 2
    assert "--idle: 'soon' is no duration such as 90s, 30m or 1h30m" in done.stderr


def test_a_machine_without_git_can_run_all_the_same(nbci: Console, tmp_path: Path) -> None:
    found = checks(nbci, env={"PATH": str(tmp_path)})
    assert found["git"]["state"] == "note"


def test_git_without_an_identity_is_named(nbci: Console) -> None:
    found = checks(nbci, env={"GIT_CONFIG_GLOBAL": "/dev/null"})
    assert "without an identity" in found["git"]["found"]


def test_a_runtime_folder_that_cannot_be_made_is_missing(nbci: Console) -> None:
    found = checks(nbci, code=4, env={"JUPYTER_RUNTIME_DIR": "/proc/nowhere"})
    assert found["runtime"]["state"] == "missing"


def test_a_project_file_that_cannot_be_read_is_missing(nbci: Console, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.nbci]\njob = 3\n")
    found = checks(nbci, code=4)
    assert found["project"]["state"] == "missing"
    assert found["project"]["advice"] == "did you mean 'jobs'?"


def test_the_text_has_a_line_for_each_check_and_the_answer() -> None:
    looked = [
        Check(name="Python", state="ok", found="3.12.1"),
        Check(
            name="project", state="missing", found="/x cannot be written", advice="run elsewhere"
        ),
    ]
    assert render_checks(looked) == (
        "ok       Python   3.12.1\n"
        "missing  project  /x cannot be written\n"
        "                  → run elsewhere\n"
        "\n"
        "missing: project"
    )
    assert render_checks(looked[:1]).endswith("\nall that is needed is there")


@pytest.mark.needs("ordinary-user")
def test_a_project_that_cannot_be_written_is_missing(nbci: Console, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert checks(nbci, code=4)["project"]["state"] == "missing"
    finally:
        tmp_path.chmod(0o700)
