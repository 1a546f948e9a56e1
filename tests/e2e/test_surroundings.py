"""The machine around a run: secrets, disks, GPUs, other runs."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.shown import document, failure, results, run_folder
from tests.support.console import ROOT

if TYPE_CHECKING:
    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_SECRET = 's3cr3t-«Pass/word»+"x"\\y'


def test_a_secret_reaches_no_file_and_no_log(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "secret.ipynb",
        [
            (
                "step:load secret:DB_PASSWORD",
                (
                    "import os, sys, json, urllib.parse, warnings\n"
                    "word = os.environ['DB_PASSWORD']\nprint(word)\n"
                    "print('half', word[:9], end='', flush=True); print(word[9:])\n"
                    "print(json.dumps(word), repr(word))\n"
                    "print(urllib.parse.quote(word), file=sys.stderr)\n"
                    "os.write(1, (word + '\\n').encode())\nwarnings.warn(word)\n"
                    "size = len(word)"
                ),
            ),
            ("", "word"),
            ("step:other prev:load", "import os\nassert 'DB_PASSWORD' not in os.environ\nsize"),
            (
                "step:fails prev:other secret:DB_PASSWORD",
                "import os\nraise ValueError('cannot log in with ' + os.environ['DB_PASSWORD'])",
            ),
            ("metrics", "print(size)"),
        ],
    )
    completed = nbci("run", notebook, "--json", env={"DB_PASSWORD": _SECRET})
    assert completed.returncode == 1, completed.stderr
    shown = document(completed)
    assert results(shown) == {"load": "passed", "other": "passed", "fails": "failed"}, shown
    assert shown["metrics"] == {"other:size": float(len(_SECRET))}
    assert "***" in failure(shown, "fails")["message"]
    _nowhere(nbci, completed.stdout + completed.stderr)


def _nowhere(nbci: Console, said: str) -> None:
    forms = {
        _SECRET,
        json.dumps(_SECRET)[1:-1],
        repr(_SECRET)[1:-1],
        json.dumps(_SECRET, ensure_ascii=False)[1:-1],
    }
    forms |= {form.replace("«", "&laquo;") for form in forms} | {
        _SECRET.replace('"', "&quot;"),
        _SECRET.replace('"', "&#34;"),
    }
    forms.add("Pass/word")
    for form in forms:
        assert form not in said
    files = [path for path in (nbci.cwd / ".nbci").rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        for form in forms:
            assert form.encode() not in content, f"{form!r} is in {path}"


def test_what_looks_like_a_credential_is_masked_without_being_declared(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "undeclared.ipynb",
        [
            ("parameters", "label = 'x'"),
            (
                "step:all",
                (
                    "import os, base64\nword = os.environ['HUB_TOKEN']\nprint(word)\n"
                    "print(base64.b64encode(b'user:' + word.encode()).decode()[:9], "
                    "end='', flush=True)\n"
                    "print(base64.b64encode(b'user:' + word.encode()).decode()[9:])\n"
                    "print(word.encode().hex())"
                ),
            ),
            ("", "{'Authorization': word}"),
        ],
    )
    completed = nbci("run", notebook, "--json", env={"HUB_TOKEN": _SECRET})
    assert completed.returncode == 0, completed.stderr
    _nowhere(nbci, completed.stdout + completed.stderr)
    everything = b"".join(
        path.read_bytes() for path in (nbci.cwd / ".nbci" / "runs").rglob("*") if path.is_file()
    )
    assert _SECRET.encode().hex().encode() not in everything
    assert base64.b64encode(b"user:" + _SECRET.encode())[8:-4] not in everything
    assert everything.count(b"***") >= 4

    for command in ("run", "plan"):
        refused = nbci(
            command, notebook, "-p", f"label={json.dumps(_SECRET)}", env={"HUB_TOKEN": _SECRET}
        )
        assert refused.returncode == 2
        assert "the parameter label of step all holds the value of a secret" in refused.stderr
        assert _SECRET not in refused.stdout + refused.stderr


def test_a_chart_of_a_file_shows_no_secret(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "chart.ipynb",
        [
            (
                "step:curve out:roc.json",
                (
                    "import json, os\nfrom pathlib import Path\n"
                    "chart = {'chart': 'roc', 'title': os.environ['HUB_TOKEN'], 'fpr': [0, "
                    "0.1, 1], 'tpr': [0, 0.9, 1]}\n"
                    "Path('roc.json').write_text(json.dumps(chart))"
                ),
            ),
        ],
    )
    environ = {"HUB_TOKEN": _SECRET}
    assert nbci("run", notebook, env=environ).returncode == 0
    assert nbci("report", env=environ).returncode == 0
    report = run_folder(nbci.cwd, document(nbci("show", "--json"))) / "report"
    assert b"***" in (report / "index.html").read_bytes()
    for path in report.rglob("*"):
        assert not path.is_file() or b"s3cr3t" not in path.read_bytes(), path


def test_a_step_run_by_itself_keeps_the_secrets_of_all(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "apart.ipynb",
        [
            (
                "step:load",
                (
                    "import os\nassert 'DB_PASSWORD' not in os.environ\n"
                    f"print({_SECRET[:9]!r} + {_SECRET[9:]!r})"
                ),
            ),
            (
                "step:use prev:load secret:DB_PASSWORD",
                "import os\nassert len(os.environ['DB_PASSWORD'])",
            ),
        ],
    )
    assert nbci("plan", notebook, "--out", "plan.json").returncode == 0
    without = nbci("step", "--plan", "plan.json", "load")
    assert without.returncode == 0, "a secret of other steps need not be there"
    first = nbci(
        "step", "--plan", "plan.json", "--store", "other", "load", env={"DB_PASSWORD": _SECRET}
    )
    second = nbci(
        "step", "--plan", "plan.json", "--store", "other", "use", env={"DB_PASSWORD": _SECRET}
    )
    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    last = nbci("finish", "--plan", "plan.json", "--store", "other", env={"DB_PASSWORD": _SECRET})
    assert last.returncode == 0
    assert "***" in first.stdout
    shutil.rmtree(nbci.cwd / ".nbci" / "store")
    (nbci.cwd / "other").rename(nbci.cwd / ".nbci" / "store")
    _nowhere(nbci, first.stdout + second.stdout + last.stdout)


def test_a_secret_is_no_value_and_no_parameter(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "keep.ipynb",
        [
            ("parameters", "url = ''"),
            (
                "step:load secret:DB_PASSWORD",
                "import os\nkept = {'password': os.environ['DB_PASSWORD']}",
            ),
            ("step:use prev:load", "print(len(kept), url)"),
        ],
    )
    completed = nbci("run", notebook, "--json", env={"DB_PASSWORD": _SECRET})
    found = failure(document(completed), "load")
    assert completed.returncode == 1
    assert found["kind"] == "unsaveable"
    assert "secret" in found["message"]
    _nowhere(nbci, completed.stdout + completed.stderr)
    refused = nbci(
        "run", notebook, "-p", f"url=db://me:{_SECRET}@host", env={"DB_PASSWORD": _SECRET}
    )
    assert refused.returncode == 2
    assert "parameters are recorded" in refused.stderr
    _nowhere(nbci, refused.stdout + refused.stderr)


_SMALL_FILES = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
sys.argv[0] = "nbci"
runpy.run_module("nbci", run_name="__main__", alter_sys=True)
"""


def test_a_full_disk_is_no_fault_of_the_step(nbci: Console, make_notebook: MakeNotebook) -> None:
    """A limit on the size of files stands for the full disk: exit 4, and the record is kept."""
    notebook = make_notebook(
        "big.ipynb",
        [
            (
                "step:make",
                (
                    "import resource\n# a full disk, from here on\n"
                    "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))\n"
                    "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
                    "value = bytes(range(256)) * 10_000"
                ),
            ),
            ("step:use prev:make", "len(value)"),
        ],
    )
    completed = nbci("run", notebook, "--json", timeout_seconds=60)
    shown = document(completed)
    assert completed.returncode == 4, shown
    assert failure(shown, "make")["kind"] == "infrastructure"
    assert document(nbci("show", "--json")) == shown


@pytest.mark.parametrize("limit", [10_000, 100_000, 300_000])
def test_a_disk_too_full_for_the_record(
    nbci: Console, make_notebook: MakeNotebook, limit: int
) -> None:
    notebook = make_notebook(
        "loud.ipynb",
        [("step:loud", "print('x' * 600_000)"), ("step:after prev:loud", "print('y')")],
    )
    command = [sys.executable, "-c", _SMALL_FILES, str(limit), "run", str(notebook), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    completed = subprocess.run(
        command,
        cwd=nbci.cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 4, completed.stderr
    assert "cannot write" in completed.stderr
    assert not re.search(
        "^Traceback", completed.stderr, re.MULTILINE
    )  # the kernel's own has its step before it
    if list((nbci.cwd / ".nbci/runs").glob("*/run.json")):
        shown = document(nbci("show", "--json"))
        assert shown["result"] == "failed"
        assert results(shown) == {"loud": "failed", "after": "skipped"}
        assert "cannot write" in json.dumps(shown)


def test_runs_cannot_be_written(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook("n.ipynb", ["x = 1"])
    (nbci.cwd / ".nbci").write_text("a file in the way")
    completed = nbci("run", notebook)
    assert completed.returncode == 4
    assert "cannot write" in completed.stderr
    assert not re.search(
        "^Traceback", completed.stderr, re.MULTILINE
    )  # the kernel's own has its step before it


def test_two_runs_at_once(nbci: Console, make_notebook: MakeNotebook) -> None:
    """Both work; the one out that both write is never written by two at a time."""
    notebook = make_notebook(
        "both.ipynb",
        [
            (
                "step:write out:shared.txt",
                (
                    "import os, time\nassert not os.path.exists('shared.txt')\n"
                    "open('inside', 'x').close()\n"
                    "for _ in range(20):\n    with open('shared.txt', 'a') as file:\n"
                    "        file.write('x')\n    time.sleep(0.02)\n"
                    "written = len(open('shared.txt').read())\nos.remove('inside')"
                ),
            ),
            ("metrics", "print(written)"),
        ],
    )
    started = [nbci.start("run", notebook, "--json") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    shown = [json.loads(stdout) for stdout, _ in outputs]
    assert [one["metrics"] for one in shown] == [{"write:written": 20.0}] * 2
    assert shown[0]["run"] != shown[1]["run"]


def test_a_gpu_goes_to_one_step_at_a_time(nbci: Console, make_notebook: MakeNotebook) -> None:
    cell = (
        "import os, time\ngpu = os.environ['CUDA_VISIBLE_DEVICES']\n"
        "open(f'on-{gpu}', 'x').close()\ntime.sleep(0.5)\nos.remove(f'on-{gpu}')"
    )
    notebook = make_notebook(
        "gpu.ipynb",
        [
            ("step:start", "pass"),
            *[(f"step:g{at} prev:start limit:nvidia.com/gpu:1", cell) for at in range(3)],
            (
                "step:cpu prev:start",
                "import os\nassert os.environ['CUDA_VISIBLE_DEVICES'] == 'nbci-0,nbci-1'",
            ),
        ],
    )
    shown = document(
        nbci("run", notebook, "--json", "-j", "4", env={"CUDA_VISIBLE_DEVICES": "nbci-0,nbci-1"})
    )
    assert set(results(shown).values()) == {"passed"}, shown


def test_a_hand_made_out_is_kept(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "out.ipynb", [("step:w out:out.txt", "open('out.txt', 'w').write('by the step')")]
    )
    (nbci.cwd / "out.txt").write_text("by hand")
    completed = nbci("run", notebook, "--json")
    folder = run_folder(nbci.cwd, document(completed))
    assert "out.txt" in completed.stderr
    assert (folder / "displaced/out.txt").read_text() == "by hand"
    again = nbci("run", notebook, "--json")
    assert again.returncode == 0
    assert not (run_folder(nbci.cwd, document(again)) / "displaced").exists()


@pytest.mark.parametrize(
    "code", ["open('metrics.json', 'w').write('{\"a\": 1}')", "raise ValueError"]
)
@pytest.mark.parametrize("staged", [False, True])
def test_a_tracked_file_that_was_changed_is_kept(
    nbci: Console, make_notebook: MakeNotebook, code: str, *, staged: bool
) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=nbci.cwd, check=True
        )

    notebook = make_notebook("out.ipynb", [("step:w out:metrics.json", code)])
    metrics = nbci.cwd / "metrics.json"
    metrics.write_text("committed")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "metrics in git")
    metrics.write_text("changed by hand")
    if staged:
        git("add", ".")
    completed = nbci("run", notebook, "--json")
    kept = run_folder(nbci.cwd, document(completed)) / "displaced/metrics.json"
    assert kept.read_text() == "changed by hand"
    assert str(kept) in completed.stderr


def test_output_to_a_reader_that_went_away(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "n.ipynb", [("step:a", "x = 1"), ("step:b", "x"), ("step:c", "open('ended', 'w').close()")]
    )
    process = nbci.start("run", notebook)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=60)
    if process.stderr is not None:
        process.stderr.close()
    assert (nbci.cwd / "ended").exists()
    assert document(nbci("show", "--json"))["result"] == "passed"


def test_nothing_is_written_beside_the_project(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook("project/n.ipynb", ["x = 1"])
    (nbci.cwd / "project/pyproject.toml").write_text("[tool.nbci]\n")
    before = set(nbci.cwd.iterdir())
    assert nbci("run", notebook).returncode == 0
    assert set(nbci.cwd.iterdir()) == before
    assert {path.name for path in (nbci.cwd / "project").iterdir()} == {
        "n.ipynb",
        "pyproject.toml",
        ".nbci",
    }


DAMAGE = """
import os, pathlib
for path in pathlib.Path(os.environ['NBCI_CACHE'], 'files').rglob('*'):
    if path.is_file() and path.stat().st_size > 50_000:
        path.chmod(0o644)
        {what}
size = 2
"""


@pytest.mark.parametrize(
    "what", ["path.unlink()", "os.truncate(path, 60_000)", "path.write_bytes(bytes(90_000))"]
)
def test_a_value_that_is_lost_while_the_run_goes_on_is_made_again(
    nbci: Console, make_notebook: MakeNotebook, what: str
) -> None:
    notebook = make_notebook(
        "lost.ipynb",
        [
            ("step:load", "import numpy as np\nbig = np.arange(10_000.0)"),
            ("step:harm prev:load", DAMAGE.format(what=what)),
            ("step:use prev:harm", "assert big.sum() == 49_995_000 and size == 2"),
        ],
    )
    completed = nbci("run", notebook, "--json", env={"NBCI_CACHE": str(nbci.cwd / "cache")})
    assert completed.returncode == 0, completed.stderr
    assert (
        "the value `big` of step load is no longer what it was: load runs again" in completed.stderr
    )
    shown = document(completed)
    assert {step["name"]: step["attempts"] for step in shown["steps"]} == {
        "load": 2,
        "harm": 1,
        "use": 1,
    }


def test_a_value_that_cannot_be_made_again_is_an_integrity_error(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    once = "import pathlib, numpy as np\npathlib.Path('once').mkdir()\nbig = np.arange(10_000.0)"
    notebook = make_notebook(
        "gone.ipynb",
        [
            ("step:load", once),
            ("step:harm prev:load", DAMAGE.format(what="path.unlink()")),
            ("step:use prev:harm", "big, size"),
        ],
    )
    completed = nbci("run", notebook, "--json", env={"NBCI_CACHE": str(nbci.cwd / "cache")})
    assert completed.returncode == 5, completed.stderr
    message = failure(document(completed), "use")["message"]
    assert "`big` of step load is gone or damaged, and load failed when it ran again" in message


def test_a_full_disk_names_the_value_and_leaves_nothing(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
    notebook = make_notebook(
        "full.ipynb",
        [
            ("step:load", limited + "import numpy as np\nbig = np.arange(1_000_000.0)"),
            ("step:use prev:load", "big"),
        ],
    )
    completed = nbci("run", notebook, "--json", env={"NBCI_CACHE": str(nbci.cwd / "cache")})
    assert completed.returncode == 4, completed.stderr
    message = failure(document(completed), "load")["message"]
    assert (
        "`big` (type numpy.ndarray), which step `use` needs, made by step `load`, cannot be written"
        in message
    )
    assert "File too large" in message
    assert not [
        path
        for path in (nbci.cwd / "cache").rglob("*")
        if path.is_file() and path.stat().st_size > 50_000
    ]
    assert not list((nbci.cwd / "cache").rglob(".value-*"))
