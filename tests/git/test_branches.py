"""A record says of which branch its commit is, also where CI has checked out no branch."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console


def test_a_detached_head_is_of_the_branch_that_ci_names(nbci: Console, tmp_path: Path) -> None:
    write_notebook(tmp_path / "n.ipynb", [("step:a", "x = 1")])
    (tmp_path / ".gitignore").write_text(".nbci\n", encoding="utf-8")
    who = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    for words in (
        ("init", "-q"),
        ("add", "."),
        (*who, "commit", "-qm", "first"),
        ("checkout", "-q", "--detach"),
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    for environ in (
        {},
        {"BRANCH_NAME": "feature/x"},
        {"BRANCH_NAME": "feature/x"},
    ):  # the last has nothing to do
        assert nbci("run", "n.ipynb", env=environ).returncode == 0
    records = [json.loads(path.read_bytes()) for path in tmp_path.glob(".nbci/runs/*/run.json")]
    assert sorted(record["git"]["branch"] or "" for record in records) == [
        "",
        "feature/x",
        "feature/x",
    ]
