"""Runs as people ask for them: parameters, parts, retries, metrics, and what each leaves behind."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.e2e.shown import document, failure, results, run_folder

if TYPE_CHECKING:
    from tests.conftest import MakeNotebook
    from tests.support.console import Console


def test_a_papermill_notebook_with_every_source_of_parameters(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "notebooks/fit.ipynb",
        [
            ("markdown", "# Fit"),
            (
                "parameters",
                (
                    "a = 1\nb = 1\nc = 1\nd = 1\nnegative = -1.5\nnothing = None\n"
                    "flag = True\nitems = [1, 2]\n"
                    "settings = {'k': 'v'}\nwho = 'me'\nderived = a + 1\nby_hand: float = 3"
                ),
            ),
            (
                "import json, os\n"
                "print(json.dumps([a, b, c, d, negative, nothing, flag, items, settings, "
                "who, derived, by_hand]))"
            ),
            "accuracy = d / 10\nprint(os.path.basename(os.getcwd()))",
            ("metrics", "print(accuracy)"),
        ],
    )
    (nbci.cwd / "p.yaml").write_text("b: 2\nc: 2\nd: 2\nsettings: {k: [x]}\nnothing: 5\n")
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    environ = {f"NBCI_PARAM_{name}": "7" for name in "abcd"}
    options = (
        "-f",
        "p.yaml",
        "-p",
        "d=4",
        "-p",
        'who=it\'s "you"\n',
        "-p",
        "by_hand=1e-3",
        "-p",
        "flag=false",
    )
    completed = nbci("run", notebook, *options, "--json", env=environ)
    shown = document(completed)
    assert completed.returncode == 0, completed.stderr
    sources = {name: one["source"] for name, one in shown["params"].items()}
    assert (sources["a"], sources["c"], sources["d"]) == (
        "environment NBCI_PARAM_a",
        "-f p.yaml",
        "-p",
    )
    assert sources["negative"] == "notebooks/fit.ipynb"
    executed = (run_folder(nbci.cwd, shown) / "steps/fit/notebook.ipynb").read_text(
        encoding="utf-8"
    )
    printed = json.loads("".join(_stdout(executed)[0]))
    assert printed == [7, 2, 2, 4, -1.5, 5, False, [1, 2], {"k": ["x"]}, 'it\'s "you"\n', 8, 0.001]
    assert _stdout(executed)[1].strip() == "notebooks"
    assert shown["metrics"] == {"fit:accuracy": 0.4}
    assert shown["short_metrics"] == {"accuracy": "fit:accuracy"}


def _stdout(notebook: str) -> list[str]:
    outputs = [output for cell in json.loads(notebook)["cells"] for output in cell["outputs"]]
    return ["".join(output["text"]) for output in outputs if output.get("name") == "stdout"]


def test_parts_of_a_pipeline(nbci: Console, make_notebook: MakeNotebook) -> None:
    cells = [
        ("step:a", "open('a', 'a').write('x'); one = 1"),
        ("step:b prev:a", "open('b', 'a').write('x'); two = one + 1"),
        ("step:c prev:b", "open('c', 'a').write('x'); three = two + one"),
        ("metrics", "print(three)"),
    ]
    notebook = make_notebook("abc.ipynb", cells)

    def ran() -> str:
        return "".join(
            name * len((nbci.cwd / name).read_text())
            for name in "abc"
            if (nbci.cwd / name).exists()
        )

    until = document(nbci("run", notebook, "--until", "b", "--json"))
    assert results(until) == {"a": "passed", "b": "passed", "c": "skipped"}
    only = document(nbci("run", notebook, "--only", "c", "--json"))
    assert results(only) == {"a": "reused", "b": "reused", "c": "passed"}
    assert only["metrics"] == {"c:three": 3.0}
    assert next(step for step in only["steps"] if step["name"] == "a")["run"] == until["run"]
    assert ran() == "abc"
    first = document(nbci("run", notebook, "--from", "b", "--json"))
    assert results(first) == {"a": "reused", "b": "passed", "c": "passed"}
    assert next(step for step in first["steps"] if step["name"] == "a")["run"] == until["run"]
    assert ran() == "abbcc"
    rows = json.loads(nbci("runs", "--json").stdout)
    assert [row["run"] for row in rows] == [first["run"], only["run"], until["run"]]


def test_keep_going_and_fail_fast(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "fork.ipynb",
        [
            ("step:start", "x = 1"),
            ("step:bad prev:start", "raise RuntimeError('no')"),
            ("step:after-bad prev:bad", "x"),
            ("step:good prev:start", "y = x"),
            ("step:last prev:good", "y"),
        ],
    )
    fast = nbci("run", notebook, "--json", "-j", "1")
    assert fast.returncode == 1
    assert results(document(fast)) == {
        "start": "passed",
        "bad": "failed",
        "good": "skipped",
        "after-bad": "skipped",
        "last": "skipped",
    }
    kept = nbci("run", notebook, "--json", "-j", "1", "--keep-going")
    assert kept.returncode == 1
    shown = document(kept)
    assert results(shown) == {
        "start": "reused",
        "bad": "failed",
        "good": "passed",
        "after-bad": "skipped",
        "last": "passed",
    }
    reasons = {step["name"]: step.get("reason") for step in shown["steps"]}
    assert reasons["after-bad"] == "step bad failed"


def test_json_is_what_show_says(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook("n.ipynb", [("step:a", "print('said')\nx = 1"), ("step:b", "1 / 0")])
    completed = nbci("run", notebook, "--json")
    assert completed.returncode == 1
    assert "[a] said" in completed.stderr
    shown = document(completed)
    assert document(nbci("show", shown["run"], "--json")) == shown
    assert document(nbci("show", "--json")) == shown
    (nbci.cwd / "sub").mkdir()
    for path in shown["paths"].values():
        assert (nbci.cwd / path).exists()
    quiet = nbci("run", notebook, "--quiet")
    assert "said" not in quiet.stdout
    assert "ZeroDivisionError" in quiet.stdout


def test_every_try_is_kept(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "flaky.ipynb",
        [
            (
                "step:flaky retries:2 out:made.txt",
                (
                    "import os\nassert not os.path.exists('made.txt'), "
                    "'the out of the last try is still there'\n"
                    "open('tries', 'a').write('x')\ntries = len(open('tries').read())\n"
                    "open('made.txt', 'w').write(str(tries))\n"
                    "print('try', tries)\nif tries < 2: raise OSError('not yet')"
                ),
            ),
            ("metrics", "print(tries)"),
        ],
    )
    shown = document(nbci("run", notebook, "--json"))
    assert shown["result"] == "passed", shown
    assert shown["steps"][0]["attempts"] == 2
    assert shown["metrics"] == {"flaky:tries": 2.0}
    folder = run_folder(nbci.cwd, shown) / "steps/flaky"
    record = json.loads((folder / "record.json").read_text())
    assert [attempt["result"] for attempt in record["attempts"]] == ["failed", "passed"]
    assert record["attempts"][0]["failure"]["message"] == "OSError: not yet"
    kept = [path.read_text() for path in folder.rglob("notebook.ipynb")]
    assert len(kept) == 2
    assert any("not yet" in text for text in kept)
    for attempt in record["attempts"]:
        assert (folder / attempt["notebook"]).exists()


def test_metrics_from_everywhere_and_numbers_that_are_none(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook(
        "m.ipynb",
        [
            (
                "step:a",
                (
                    "import math\nimport scrapbook as sb\nsb.glue('glued', 0.25)\n"
                    "sb.glue('words', 'no number')\n"
                    "nan, up, whole, flag = math.nan, math.inf, 3, True"
                ),
            ),
            (
                "step:b prev:a",
                (
                    "import json, math\nwhole_b = whole + 1\n"
                    "with open('metrics.json', 'w') as file:\n"
                    "    json.dump({'file': 3, 'nested': {'deep': 4.5}, 'text': 'x', "
                    "'not': math.nan}, file)"
                ),
            ),
            ("metrics", "print(nan)\nprint('up:', up)\ndown = -up\nprint(f'flag: {flag}')"),
            ("metrics", "print('whole:', whole_b)"),
        ],
    )
    (nbci.cwd / "p.yaml").write_text(
        "pipeline: p\nsteps:\n  m: {notebook: m.ipynb, metrics: [metrics.json]}\n"
    )
    completed = nbci("run", "p.yaml", "--json")
    shown = document(completed)
    assert completed.returncode == 0, completed.stderr
    metrics = {name.rpartition(":")[2]: value for name, value in shown["metrics"].items()}
    assert metrics["glued"] == 0.25
    assert metrics["whole"] == 4
    assert metrics["up"] == math.inf
    assert metrics["down"] == -math.inf
    assert math.isnan(metrics["nan"])
    assert math.isnan(metrics["not"])
    assert (metrics["file"], metrics["nested.deep"]) == (3, 4.5)
    assert "words" not in metrics


def test_values_as_the_design_says(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "values.ipynb",
        [
            ("imports", "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')"),
            (
                "functions",
                (
                    "class Model:\n    fitted = 0\n    def fit(self, rows):\n"
                    "        self.fitted = len(rows)\n        return self"
                ),
            ),
            (
                "step:make",
                (
                    "model = Model()\nalias = model\nrows = [Point(1, 2)]\n"
                    "for at in range(2):\n    rows.append(Point(at, at))"
                ),
            ),
            ("step:fit", "model.fit(rows)\nprint(alias.fitted)"),
            (
                "step:use",
                (
                    "assert isinstance(model, Model) and type(model) is Model\n"
                    "assert model.fitted == 3, model.fitted\n"
                    "assert all(isinstance(row, Point) for row in rows)\n"
                    "assert alias is model\nfitted = model.fitted"
                ),
            ),
            ("metrics", "print(fitted)"),
        ],
    )
    shown = document(nbci("run", notebook, "--json"))
    assert shown["result"] == "passed", failure(
        shown, next(n for n, r in results(shown).items() if r == "failed")
    )
    assert shown["metrics"] == {"use:fitted": 3.0}


def test_a_branch_that_changed_a_value_wins_at_the_join(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "join.ipynb",
        [
            ("step:load", "rows = [1]"),
            ("step:left prev:load", "rows.append(2)"),
            ("step:right prev:load", "size = len(rows)"),
            ("step:join prev:left prev:right", "total = sum(rows) * 10 + size"),
            ("metrics", "print(total)"),
        ],
    )
    shown = document(nbci("run", notebook, "--json"))
    assert shown["metrics"] == {"join:total": 31.0}, shown


@pytest.mark.needs("kernel:bash")
def test_a_notebook_in_another_language(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "shell.ipynb",
        [
            ("parameters", "GREETING=hello\nTIMES=2"),
            ("functions", 'greet() { echo "$GREETING $1"; }'),
            ("step:one out:made.txt", "greet one | tee made.txt"),
            (
                "step:two prev:one in:made.txt",
                "for i in $(seq $TIMES); do greet two; done\ncat made.txt",
            ),
            ("step:three prev:two", "false"),
        ],
        kernel="bash",
        language="bash",
    )
    completed = nbci("run", notebook, "-p", "GREETING=good day", "--json")
    shown = document(completed)
    assert completed.returncode == 1
    assert results(shown) == {"one": "passed", "two": "passed", "three": "failed"}
    assert "[two] good day two" in completed.stderr
    assert (nbci.cwd / "made.txt").read_text() == "good day one\n"
    assert failure(shown, "three")["cell"] == 5


def test_percent_script_and_markdown_run_too(nbci: Console) -> None:
    (nbci.cwd / "script.py").write_text(
        '# %% tags=["parameters"]\nC = 1\n\n# %%\nscore = C * 2\n\n# %% tags=["metrics"]\n'
        "print(score)\n"
    )
    (nbci.cwd / "words.md").write_text(
        '# Words\n\n```python\nscore = 5\n```\n\n```python tags=["metrics"]\nprint(score)\n```\n'
    )
    assert document(nbci("run", "script.py", "-p", "C=3", "--json"))["metrics"] == {
        "script:score": 6.0
    }
    assert document(nbci("run", "words.md", "--json"))["metrics"] == {"words:score": 5.0}


def test_odd_sources(nbci: Console, make_notebook: MakeNotebook) -> None:
    """CRLF runs; NUL and lone surrogates are refused or fail by name, never a bug."""
    notebook = make_notebook(
        "crlf.ipynb", ["x = 1\r\nif x:\r\n    y = 2\r\n", ("metrics", "print(y)")]
    )
    assert document(nbci("run", notebook, "--json"))["metrics"] == {"crlf:y": 2.0}
    for name, source in (("nul", "x = 'a\\0b'"), ("surrogate", "x = 'a\\ud800b'")):
        text = notebook.read_text().replace("x = 1\\r\\n", source.replace("\\0", "\\u0000"))
        (nbci.cwd / f"{name}.ipynb").write_text(text)
        completed = nbci("run", f"{name}.ipynb")
        assert completed.returncode in {1, 2}, completed.stderr
        assert "cell 1" in completed.stdout + completed.stderr


def test_characters_that_xml_cannot_hold_leave_the_report_readable(nbci: Console) -> None:
    """https://github.com/jupyter/notebook/issues/2680"""
    odd = r"nul \x00 esc \x1b[31mred\x1b[0m vt \x0b fffe \ufffe ]]> <x> bad \udcc3 name"
    (nbci.cwd / "n.py").write_text(
        f"# %% tags=['step:a']\nprint('{odd}')\n# %%\nraise ValueError('{odd}')\n"
    )
    completed = nbci("run", "n.py", "--json")
    assert completed.returncode == 1, completed.stderr

    folder = run_folder(nbci.cwd, document(completed))
    tests = ElementTree.parse(folder / "report/junit.xml")
    (failed,) = tests.iter("failure")
    assert "]]> <x>" in (failed.text or "")
    (executed,) = (folder / "notebooks").glob("*.ipynb")
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    assert "]]> <x> bad" in "".join(cells[0]["outputs"][0]["text"])


def test_runs_at_once_that_write_one_file_see_their_own_each(nbci: Console) -> None:
    """https://github.com/treeverse/dvc/issues/1599"""
    write = "import time\nopen('o.txt', 'w').write(str(i))\ntime.sleep(0.3)"
    (nbci.cwd / "n.py").write_text(
        f"# %% tags=['parameters']\ni = 0\n# %% tags=['step:a', 'out:o.txt']\n{write}\n"
        "# %% tags=['step:b', 'prev:a', 'in:o.txt']\ngot = int(open('o.txt').read())\n"
        "assert got == i, (got, i)\n"
        "# %% tags=['metrics']\nprint(got)\n"
    )
    started = [nbci.start("run", "n.py", "-p", f"i={number}", "--quiet") for number in range(1, 4)]
    ended = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], ended
    runs = json.loads(nbci("runs", "--json").stdout)
    assert sorted(run["metrics"]["b:got"] for run in runs) == [1, 2, 3]


def test_a_flood_of_output_is_capped_and_spilled(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\noutput_cap_bytes = 50000\n")
    notebook = make_notebook(
        "flood.ipynb", ["for at in range(20000):\n    print('line', at)\nprint('the end')"]
    )
    completed = nbci("run", notebook, "--json")
    shown = document(completed)
    assert completed.returncode == 0
    folder = run_folder(nbci.cwd, shown) / "steps/flood"
    executed = (folder / "notebook.ipynb").read_text()
    assert len(executed) < 200_000
    spilled = json.loads((folder / "record.json").read_text())["attempts"][0]["cells"][0]["spilled"]
    assert spilled in executed
    whole = next(path for path in (folder / "files").rglob("*") if path.is_file()).read_text()
    assert whole.count("line ") == 20000
    assert "the end" in whole


def test_a_damaged_run_stops_no_other(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "n.ipynb",
        [("step:a out:made.txt", "open('made.txt', 'w').close()\nx = 1"), ("step:b", "x")],
    )
    damaged, other = (
        run_folder(nbci.cwd, document(nbci("run", notebook, "--json"))) for _ in range(2)
    )
    for name in ("plan.json", "run.json", "steps/a/record.json"):
        (damaged / name).write_text("{")
    text = json.loads((other / "plan.json").read_text())
    (other / "plan.json").write_text(json.dumps({**text, "format": 99}))
    listed = nbci("runs", "--json")
    assert listed.returncode == 0
    assert json.loads(listed.stdout) == []
    assert damaged.name in listed.stderr
    assert other.name in listed.stderr
    assert nbci("show", damaged.name).returncode == 5
    assert nbci("show", other.name).returncode == 2
    assert nbci("run", notebook).returncode == 0
    assert nbci("run", notebook, "--only", "b").returncode == 0


def test_names_that_share_an_object_change_together(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    """As in Kale's titanic: `combine` holds the frames, and a step changes them through it."""
    notebook = make_notebook(
        "combine.ipynb",
        [
            (
                "step:load",
                "train, test = {'rows': 1}, {'rows': 2}\ncombine = [train, test]\nother = [7]",
            ),
            ("step:change prev:load", "for frame in combine:\n    frame['rows'] *= 10"),
            ("step:idle prev:change", "len(other)"),
            ("step:again prev:idle", "train['rows'] += 1"),
            ("step:side prev:load", "seen = test['rows']"),
            (
                "step:use prev:again prev:side",
                "assert combine[0] is train\nresult = combine[0]['rows'] + test['rows'] + seen",
            ),
            ("metrics", "print(result)"),
        ],
    )
    shown = document(nbci("run", notebook, "--json"))
    assert shown["result"] == "passed", shown
    assert shown["metrics"] == {"use:result": 33.0}
