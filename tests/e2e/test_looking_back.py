"""Files of earlier runs come back, and two runs are compared."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from tests.support.console import Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

MAKE = """
from pathlib import Path
Path("out").mkdir()
for n in range(size):
    Path(f"out/{n}.txt").write_text(f"{n} {word}")
Path("note.txt").write_text(word)
count = size
"""


class TwoRuns:
    """A project in which a notebook ran twice, with other parameters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        subprocess.run(["git", "init", "-q", self.folder], check=True)
        (self.folder / "read.txt").write_text("as it was")
        cells = [
            ("parameters", "size = 2\nword = 'first'"),
            ("step:make in:read.txt out:out out:note.txt", MAKE),
            ("metrics", "print(count)"),
        ]
        write_notebook(self.folder / "n.ipynb", cells)
        self.nbci = Console(self.folder)
        self.env = {"NBCI_CACHE": str(folder / "cache")}
        self.first, self.second = self.run(), self.run("-p", "size=3", "-p", "word=second")

    def run(self, *arguments: str) -> str:
        shown: dict[str, Any] = json.loads(self("run", "n.ipynb", "--json", *arguments))
        return str(shown["run"])

    def __call__(self, *arguments: str) -> str:
        done = self.nbci(*arguments, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> TwoRuns:
    return TwoRuns(tmp_path_factory.mktemp("looking-back"))


def test_the_difference_is_told(runs: TwoRuns) -> None:
    text = runs("diff", runs.first, runs.second)
    for line in (
        f"{runs.first} → {runs.second}",
        "  size  2 → 3",
        "  word  first → second",
        "  out (written)  changed: 14 B in 2 files → 24 B in 3 files",
        "    1 file added: 2.txt",
        "    2 files changed: 0.txt, 1.txt",
        "  note.txt (written)  changed: 5 B → 6 B",
        "  make:count  2 → 3  +1",
    ):
        assert line in text.splitlines()
    assert "environment" not in text


def test_the_difference_as_json(runs: TwoRuns) -> None:
    found = json.loads(runs("diff", runs.first, "--json"))
    assert (found["before"], found["after"]) == (runs.first, runs.second)
    assert [change["name"] for change in found["params"]] == ["size", "word"]


def test_the_difference_as_pages(runs: TwoRuns) -> None:
    shown = json.loads(runs("compare", runs.first, runs.second, "--html", "--json"))
    folder = (runs.folder / shown["page"]).parent
    text = (folder / "index.html").read_text()

    assert (shown["before"], shown["after"]) == (runs.first, runs.second)
    assert f">{runs.first}</a>, as asked for" in text
    assert f"<title>n: run {runs.second} compared with run {runs.first}</title>" in text
    assert "second" in text
    assert (folder / "steps/make.html").is_file()
    assert (folder / "style.css").is_file()
    for page in ("index.html", "steps/make.html"):
        _leads_only_to_what_is_there(folder / page)
    assert runs("compare", runs.first, runs.second) == runs("diff", runs.first, runs.second)

    same = runs.nbci("compare", runs.first, runs.first, "--html", env=runs.env)
    gone = runs.nbci("compare", "20200101", "--html", env=runs.env)
    assert (same.returncode, gone.returncode) == (2, 2)
    assert "the same as itself" in same.stderr


def _leads_only_to_what_is_there(page: Path) -> None:
    links = re.findall(r'href="([^"#]+)', page.read_text())
    assert any(link.endswith((".ipynb", "report/index.html")) for link in links)
    for link in links:
        assert (page.parent / unquote(link)).is_file(), link


def test_a_run_differs_from_itself_in_nothing(runs: TwoRuns) -> None:
    assert runs("diff", runs.first, runs.first).endswith("\nnothing differs\n")


def test_all_outs_of_a_run_come_back(runs: TwoRuns) -> None:
    runs("checkout", runs.first)
    assert sorted(path.name for path in (runs.folder / "out").iterdir()) == ["0.txt", "1.txt"]
    assert (runs.folder / "note.txt").read_text() == "first"
    runs("checkout", runs.second, "out")
    assert (runs.folder / "out" / "2.txt").read_text() == "2 second"
    assert (runs.folder / "note.txt").read_text() == "first"
    assert "stood there already" in runs("checkout", runs.second, "out")


def test_they_may_be_put_elsewhere(runs: TwoRuns, tmp_path: Path) -> None:
    runs("checkout", runs.second, "note.txt", "--to", str(tmp_path / "there"))
    assert [path.name for path in (tmp_path / "there").rglob("*") if path.is_file()] == ["note.txt"]


def test_what_somebody_wrote_by_hand_is_kept(runs: TwoRuns) -> None:
    (runs.folder / "note.txt").unlink()
    (runs.folder / "note.txt").write_text("mine")
    said = runs("checkout", runs.first, "note.txt")
    assert (runs.folder / "note.txt").read_text() == "first"
    kept = runs.folder / ".nbci" / "displaced" / "note.txt"
    assert kept.read_text() == "mine"
    assert "note.txt" in said


def test_a_path_that_the_run_does_not_have(runs: TwoRuns) -> None:
    done = runs.nbci("checkout", runs.first, "note.tx", env=runs.env)
    assert done.returncode == 2
    assert f"run {runs.first} neither made nor declares note.tx" in done.stderr
    assert "did you mean note.txt?" in done.stderr
    done = runs.nbci("checkout", runs.first, "out/0.txt", env=runs.env)
    assert (done.returncode, "out/0.txt is part of out" in done.stderr) == (2, True)


def test_what_was_only_read_is_kept_nowhere(runs: TwoRuns) -> None:
    assert "stood there already" in runs("checkout", runs.first, "read.txt")
    (runs.folder / "read.txt").write_text("as it is now")
    done = runs.nbci("checkout", runs.first, "read.txt", env=runs.env)
    assert (done.returncode, "the run only read it" in done.stderr) == (5, True), done.stderr
    assert (runs.folder / "read.txt").read_text() == "as it is now"
