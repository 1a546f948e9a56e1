"""nbci killed in the middle of a printing cell: what had been printed is not lost."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from nbci.runs.folder import RunFolder
from tests.e2e.shown import document, failure, results

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_DEADLINE_SECONDS = 60
_SECRET = "open-sesame-1234"
_PRINTS = """
import os, sys, time
from IPython.display import display
handle = display("begun", display_id=True)
word = os.environ["WORD"]
for n in range(10**9):
    print("line", n, flush=n % 10 == 0)
    sys.stderr.write(word[:5]); sys.stderr.flush()
    sys.stderr.write(word[5:] + "\\n")
    if n == 50:
        handle.update("going on")
    time.sleep(0 if n < 290 and not os.path.exists("go") else 0.02)
    if os.path.exists("go"):
        break
"""


@pytest.fixture
def killed(nbci: Console, make_notebook: MakeNotebook) -> Path:
    """The folder of a run whose engine was killed while its second step printed."""
    notebook = make_notebook(
        "loud.ipynb",
        [
            ("step:quiet", "print('done')"),
            ("step:loud prev:quiet secret:WORD", "print('before')"),
            ("", _PRINTS),
            ("", "print('after')"),
        ],
    )
    process = nbci.start("run", notebook, env={"WORD": _SECRET})
    (journal,) = _awaited(nbci.cwd, ".nbci/runs/*/steps/loud/outputs.jsonl", "line 300")
    kernels = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=_DEADLINE_SECONDS)
    assert psutil.wait_procs(kernels, timeout=10)[1] == []
    return journal.parents[2]


def _awaited(folder: Path, pattern: str, text: str) -> list[Path]:
    """The files of that pattern, when one of them holds the text."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not any(text.encode() in path.read_bytes() for path in folder.glob(pattern)):
        assert time.monotonic() < deadline, f"waited in vain for {text!r}"
        time.sleep(0.02)
    return list(folder.glob(pattern))


def _printed(cell: dict[str, Any], name: str) -> str:
    return "".join(output["text"] for output in cell["outputs"] if output.get("name") == name)


def test_what_was_printed_is_in_the_rebuilt_notebook(nbci: Console, killed: Path) -> None:
    journal = (killed / "steps/loud/outputs.jsonl").read_bytes()
    assert _SECRET.encode() not in journal
    assert _SECRET[5:].encode() not in journal
    shown = document(nbci("show", "--json"))
    assert shown["result"] == "interrupted"
    assert results(shown) == {"quiet": "passed", "loud": "interrupted"}
    found = failure(shown, "loud")
    assert (found["kind"], found["cell"], found["first_line"]) == (
        "interrupted",
        3,
        "import os, sys, time",
    )
    assert (killed / "steps/loud/outputs.jsonl").read_bytes() == journal

    assert nbci("report").returncode == 0
    pages = [killed / "report/steps/loud.html", *(killed / "report/outputs/loud").glob("*.html")]
    assert "line 250\n" in "".join(page.read_text(encoding="utf-8") for page in pages)
    assert document(nbci("show", "--json")) == shown
    assert not list(killed.rglob("outputs.jsonl"))
    RunFolder(killed).check_seal()

    (nbci.cwd / "go").touch()
    resumed = document(nbci("run", "--resume", "latest", "--json", env={"WORD": _SECRET}))
    assert results(resumed) == {"quiet": "passed", "loud": "passed"}
    assert resumed["steps"][1]["attempts"] == 2
    assert not list(killed.rglob("outputs.jsonl"))
    notebook = json.loads((killed / "steps/loud/attempts/1/notebook.ipynb").read_bytes())
    before, loud, after = notebook["cells"]
    lines = _printed(loud, "stdout").splitlines()
    assert len(lines) > 300
    assert lines == [f"line {n}" for n in range(len(lines))]
    assert loud["outputs"][0]["data"]["text/plain"] == "'going on'"
    assert "***\n***\n" in _printed(loud, "stderr")
    assert "killed while this cell ran" in loud["outputs"][-1]["text"]
    assert loud["metadata"]["nbci"]["result"] == "failed"
    assert _printed(before, "stdout") == "before\n"
    assert before["execution_count"] < loud["execution_count"]
    assert after["outputs"] == []
    record = json.loads((killed / "steps/loud/record.json").read_bytes())
    assert [cell["result"] for cell in record["attempts"][0]["cells"]] == [
        "passed",
        "failed",
        "not run",
    ]


def test_a_damaged_journal_is_survived(nbci: Console, killed: Path) -> None:
    journal = killed / "steps/loud/outputs.jsonl"
    whole = journal.read_bytes()
    for content in (
        b"",
        whole[:-7] + b"\0" * 4096,
        b"{}\n[]\n7\n" + whole,
        b'{"do": "begin", "notebook": 3}\n',
        whole[300:],
    ):
        journal.write_bytes(content)
        shown = document(nbci("show", "--json"))
        assert shown["result"] == "interrupted"
        assert failure(shown, "loud")["kind"] == "interrupted"
    (nbci.cwd / "go").touch()
    resumed = nbci("run", "--resume", "latest", "--json", env={"WORD": _SECRET})
    assert results(document(resumed)) == {"quiet": "passed", "loud": "passed"}


def test_a_killed_run_is_no_altered_one(nbci: Console, killed: Path) -> None:
    judged = nbci("gate")
    assert (judged.returncode, judged.stderr) == (130, "")
    assert f"{killed.name} interrupted; only a run that passed is judged" in judged.stdout
