"""The guards of conftest.py hold, and the builders build what they say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from tests.support.guards import end_strays
from tests.support.tools import reason_to_leave_out

if TYPE_CHECKING:
    from tests.conftest import MakeNotebook


def test_home_is_an_empty_folder_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert tmp_path_factory.getbasetemp() in Path.home().parents
    assert not [name for name in os.environ if name.startswith("NBCI_")]


def test_git_knows_the_tester_and_not_the_user() -> None:
    shown = subprocess.run(
        ["git", "config", "user.name"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "A Tester\n"


def test_kernels_of_the_environment_are_still_found() -> None:
    assert KernelSpecManager().get_kernel_spec("python3").language == "python"


def test_network_is_out_of_reach() -> None:
    with (
        socket.socket() as client,
        pytest.raises(pytest.fail.Exception, match=r"tried to reach 192\.0\.2\.1:80"),
    ):
        client.connect(("192.0.2.1", 80))


def test_loopback_is_in_reach() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
    ):
        pass


def test_a_process_that_outlives_its_test_is_found_and_ended() -> None:
    # Its parent ends at once, so it is no longer a child of this process; but not before it runs,
    # since a process that is about to begin has no environment yet.
    code = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import "
        "time; print(1, flush=True); time.sleep(60)'], stdout=subprocess.PIPE).stdout.readline()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert [line for line in end_strays(grace_seconds=0.2) if "time.sleep(60)" in line]
    assert end_strays(grace_seconds=0) == []


def test_a_missing_tool_is_named() -> None:
    assert reason_to_leave_out("no-such-tool") == "no command 'no-such-tool'"
    assert reason_to_leave_out("kernel:no-such") == "no Jupyter kernel 'no-such'"
    assert reason_to_leave_out("git") is None
    assert reason_to_leave_out("kernel:python3") is None


def test_a_built_notebook_is_valid(make_notebook: MakeNotebook) -> None:
    path = make_notebook(
        "sub/a.ipynb", ["x = 1", ("step:a prev:b", "y = 2\nz = 3"), (["markdown"], "# Title")]
    )
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["code", "code", "markdown"]
    assert notebook.cells[1].source == "y = 2\nz = 3"
    assert notebook.cells[1].metadata.tags == ["step:a", "prev:b"]
