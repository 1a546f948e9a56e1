"""`nbci comment`, as a build of a pull request calls it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.forge import FakeForge, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeNotebook
    from tests.support.console import Console


@pytest.fixture
def forge() -> Iterator[FakeForge]:
    yield from serve(FakeForge(kind="github"))


def test_a_build_keeps_one_comment_on_its_pull_request(
    nbci: Console, make_notebook: MakeNotebook, forge: FakeForge
) -> None:
    notebook = make_notebook(
        "a.ipynb", [("step:a", "x = 1"), ("step:b prev:a", "assert x == 2, '@everyone'")]
    )
    assert nbci("run", notebook).returncode == 1
    environ = {
        "CHANGE_URL": "https://github.com/o/r/pull/5",
        "NBCI_FORGE_API": forge.url,
        "GITHUB_TOKEN": forge.token,
        "BUILD_URL": "https://jenkins.example/job/r/view/change-requests/job/PR-5/3/",
        "NBCI_REPORT_URL": "https://jenkins.example/job/r/job/PR-5/3/Notebook_20report/",
    }
    shown = nbci("comment", "--dry-run", env=environ)
    assert shown.returncode == 0
    assert forge.asked == []

    first = nbci("comment", env=environ)
    assert first.returncode == 0, first.stderr
    assert "o/r#5: commented" in first.stdout
    (body,) = forge.bodies
    assert body.endswith(shown.stdout)
    assert body.index("failed") < body.index("### Steps")
    assert "[Report](https://jenkins.example/job/r/job/PR-5/3/Notebook_20report/index.html)" in body
    assert "[Build](https://jenkins.example/job/r/view/change-requests/job/PR-5/3/)" in body
    assert "@everyone" not in body.replace("```", "").split("AssertionError")[0]

    earlier = json.loads(nbci("runs", "--json").stdout)[0]["run"]
    assert nbci("run", notebook).returncode == 1
    again = json.loads(nbci("comment", "--json", env=environ).stdout)
    assert again["comment"] == "updated"
    assert len(forge.comments) == 1
    assert json.loads(nbci("comment", earlier, "--json", env=environ).stdout)["comment"] == "older"
    everything = b"".join(path.read_bytes() for path in nbci.cwd.rglob("*") if path.is_file())
    assert forge.token.encode() not in everything


def test_a_comment_stays_below_what_forges_take(nbci: Console) -> None:
    """GitHub takes 65,536 characters: https://github.com/iterative/cml/issues/1350"""
    names = "{f'metric_{n}_' + 'x' * 60: n / 7 for n in range(1500)}"
    cells = [
        f"# %% tags=['step:a', 'out:m.json']\nimport json\njson.dump({names}, open('m.json', 'w'))"
    ]
    error = "'| @all #1 <b>x</b> ' + 'e' * 6000 + '\\n```\\n# big'"
    cells += [f"# %% tags=['step:s{n}', 'prev:a']\nraise ValueError({error})" for n in range(12)]
    (nbci.cwd / "n.py").write_text("\n".join(cells))
    (nbci.cwd / "p.yaml").write_text("steps:\n  n: {notebook: n.py, metrics: [m.json]}\n")
    assert nbci("run", "p.yaml", "--keep-going", "-j", "2", "--quiet").returncode == 1

    comment = nbci("comment", "--dry-run", "--change", "https://github.com/o/r/pull/5").stdout
    assert 500 < len(comment) < 65_000
    outside_of_code = re.sub(r"^````.*?^````", "", comment, flags=re.MULTILINE | re.DOTALL)
    assert "@all" not in outside_of_code


def test_what_is_missing_is_said(nbci: Console, make_notebook: MakeNotebook) -> None:
    assert nbci("run", make_notebook("a.ipynb", [("step:a", "x = 1")])).returncode == 0
    no_change = nbci("comment")
    no_token = nbci("comment", "--change", "https://gitlab.com/g/r/-/merge_requests/7")

    assert (no_change.returncode, no_token.returncode) == (2, 2)
    assert "this is no build of a pull request" in no_change.stderr
    assert "GITLAB_TOKEN" in no_token.stderr
