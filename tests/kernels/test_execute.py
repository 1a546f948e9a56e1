"""Steps in real kernels: what passes, what fails, and how it is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nbformat
import pytest

from nbci.errors import UsageError
from nbci.kernels.job import MetricProbe, ProgramCell
from tests.kernels.real_kernels import Recorder, cells, printed, run, run_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import KernelJob

    MakeJob = Callable[..., KernelJob]

FAILING = {
    "exception": ("1/0\nprint('after')", "ZeroDivisionError"),
    "syntax": ("x = = 1", "SyntaxError"),
    "unknown line magic": ("%nosuchmagic 1\nprint('after')", "UsageError"),
    "unknown cell magic": ("%%nosuchmagic\nprint('after')", "UsageError"),
    "%time": ("%time 1/0\nprint('after')", "ZeroDivisionError"),
    "%%time": ("%%time\n1/0", "ZeroDivisionError"),
    "%%capture": ("%%capture\n1/0", "ZeroDivisionError"),
    "%%bash": ("%%bash\necho some\nexit 3", "CalledProcessError"),
    "%%script": ("%%script nosuchprogram\necho", "ShellError"),
    "%run script": ("%run bad.py\nprint('after')", "KeyError"),
    "%run exit": ("%run exit3.py\nprint('after')", "SystemExit"),
    "%run notebook": ("%run bad.ipynb\nprint('after')", "KeyError"),
    "%run missing": ("%run nosuch.py\nprint('after')", "Exception"),
    "%cd": ("%cd nosuchfolder\nprint('after')", "FileNotFoundError"),
    "%pip": ("%pip install --no-index nosuchdist-zzz\nprint('after')", "ShellError"),
    "!": ("!sh -c 'exit 3'\nprint('after')", "ShellError"),
    "x = !": ("x = !echo said; exit 4\nprint('after')", "ShellError"),
    "%sx": ("%sx exit 5\nprint('after')", "ShellError"),
    "%system": ("%system exit 5\nprint('after')", "ShellError"),
    "%%sx": ("%%sx\nexit 5", "ShellError"),
    "displayed": (
        "try:\n    1/0\nexcept ZeroDivisionError:\n    get_ipython().showtraceback()",
        "ZeroDivisionError",
    ),
    "repr": ("class R:\n    def _repr_html_(self): raise KeyError('r')\nR()", None),
    "exit": ("exit()\nprint('after')", "CellExit"),
    "quit": ("quit()\nprint('after')", "CellExit"),
    "sys.exit": ("import sys; sys.exit(0)\nprint('after')", "SystemExit"),
    "await": (
        "import asyncio\nawait asyncio.sleep(0)\nraise OSError('late')\nprint('after')",
        "OSError",
    ),
    "own handler": (
        (
            "get_ipython().set_custom_exc((Exception,), lambda *args, **kwargs: print('oh'))\n"
            "raise ValueError('bad')"
        ),
        "ValueError",
    ),
    "own traceback": (  # the last, for what it does to the kernel
        (
            "get_ipython().showtraceback = lambda *args, **kwargs: print('oh')\n"
            "raise ValueError('bad')"
        ),
        "ValueError",
    ),
}

PASSING = {
    "%run exit 0": "%run exit0.py",
    "!": "!echo $HOME {1+1}",
    "x = !": "name = 'v'\nx = !echo $name {name}\nassert list(x) == ['v v'], x",
    "local": "def f(word):\n    y = !echo {word}\n    return y\nassert list(f('w')) == ['w']",
    "magics": "%time 1\n%cd .\n%env A=1",
    "await": "import asyncio\nawait asyncio.sleep(0.01)",
    "%tb": "try:\n    1/0\nexcept ZeroDivisionError:\n    pass\n%xmode Plain",
    "crlf": "print(1)\r\nprint(2)\r\n",
    "usual": "assert 'In' in globals() and not [n for n in globals() if 'nbci' in n]",
}


def test_every_kind_of_failing_cell_fails_at_that_line(make_job: MakeJob) -> None:
    program = cells(*(source for source, _ in FAILING.values()), tags=("raises-exception",))
    job = make_job(*program)
    write_scripts(job)

    outcome = run(job)

    assert outcome.failure is None
    nodes = dict(zip(FAILING, outcome.notebook["cells"], strict=True))
    silent = [kind for kind, node in nodes.items() if "raised" not in node["metadata"]["nbci"]]
    assert silent == []
    went_on = [
        kind
        for kind, node in nodes.items()
        if "after\n" in json.dumps(node["outputs"]).replace("\\n", "\n")
    ]
    assert [kind for kind in went_on if "print('after')" not in str(nodes[kind]["outputs"])] == []
    raised = {kind: node["metadata"]["nbci"]["raised"] for kind, node in nodes.items()}
    assert raised == {kind: name or raised[kind] for kind, (_, name) in FAILING.items()}
    nbformat.validate(outcome.notebook)


@pytest.mark.parametrize("zygote", ["on", "off"])
def test_what_is_fine_passes(make_job: MakeJob, zygote: str) -> None:
    job = make_job(*PASSING.values(), env={"NBCI_ZYGOTE": zygote})
    write_scripts(job)

    outcome = run(job)

    assert outcome.failure is None
    assert [cell.result for cell in outcome.cells] == ["passed"] * len(PASSING)
    assert printed(outcome, list(PASSING).index("crlf")) == "1\n2\n"


def write_scripts(job: KernelJob) -> None:
    (job.cwd / "bad.py").write_text("raise KeyError('in script')\n")
    (job.cwd / "exit0.py").write_text("import sys\nsys.exit(0)\n")
    (job.cwd / "exit3.py").write_text("import sys\nsys.exit(3)\n")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("raise KeyError('in notebook')")]
    )
    nbformat.write(notebook, job.cwd / "bad.ipynb")


def test_failures_say_where_and_what(make_job: MakeJob) -> None:
    plain, shell, left, ignored, nul, surrogate = run_all(
        make_job("x = 1", "y = 2\nz = y / 0\nprint('after')", "print('never')"),
        make_job("!echo said; exit 3"),
        make_job("import sys\nsys.exit(0)\nprint('after')"),
        make_job("!exit 3\nx = !exit 3\nprint('went on')", shell_errors="ignore"),
        make_job("print('a\0b')"),
        make_job("print('\ud800')"),
    )

    failure = plain.failure
    assert failure is not None
    assert (failure.kind, failure.cell, failure.line, failure.error) == (
        "exception",
        2,
        2,
        "ZeroDivisionError",
    )
    assert failure.message == "ZeroDivisionError: division by zero"
    assert failure.first_line == "y = 2"
    assert failure.traceback is not None
    assert "\x1b" not in failure.traceback
    assert [cell.result for cell in plain.cells] == ["passed", "failed", "not run"]
    assert shell.failure is not None
    assert shell.failure.message.startswith("command ended with status 3: echo said; exit 3")
    assert shell.failure.exit_code == 3
    assert printed(shell, 0) == "said\n"
    assert left.failure is not None
    assert (left.failure.kind, left.failure.exit_code) == ("exit", 0)
    assert ignored.failure is None
    assert nul.failure is not None
    assert "NUL" in nul.failure.message
    assert surrogate.failure is not None
    assert "surrogate" in surrogate.failure.message
    for outcome in (plain, shell, left, ignored, nul, surrogate):
        nbformat.validate(outcome.notebook)
        json.dumps(outcome.notebook).encode()


NO_NUMBERS = {
    "masked": "__import__('numpy').ma.masked",
    "gap": "__import__('numpy').ma.masked_array([1.0], [True])",
    "missing": "__import__('pandas').NA",
    "no_time": "__import__('pandas').NaT",
    "text_in_an_array": "__import__('numpy').array('0.9')",
    "span": "__import__('numpy').timedelta64(5, 's')",
    "many": "__import__('numpy').array([1.0, 2.0])",
    "too_large": "10 ** 400",
    "floatable": "type('F', (), {'__float__': lambda self: 0.5})()",
}


def test_an_exception_that_says_too_much_loses_its_middle(make_job: MakeJob) -> None:
    text = "'a' * 49_990 + 'this-is-secret' * 10 + 'b' * 30_000_000 + 'the end'"
    outcome = run(make_job(f"raise ValueError({text})", secrets={"TOKEN": "this-is-secret"}))
    assert outcome.failure is not None
    told = [outcome.failure.message, outcome.failure.traceback or ""]
    (shown,) = outcome.notebook["cells"][0]["outputs"]
    for said in (*told, shown["evalue"], *shown["traceback"]):
        assert len(said) < 101_000
        assert "this-is" not in said
    assert all(said.endswith("the end") for said in (*told, shown["evalue"]))


def test_what_goes_wrong_beside_the_cells_is_a_warning(make_job: MakeJob) -> None:
    job = make_job(
        (
            "import threading\nt = threading.Thread(target=lambda: 1/0, name='worker')\n"
            "t.start(); t.join()"
        ),
        "class D:\n    def __del__(self): raise KeyError('gone')\nd = D()\ndel d",
        "import asyncio\nasync def boom(): raise OSError('lost')\n"
        "async def long(): await asyncio.sleep(60)\n"
        "held = asyncio.create_task(boom())\nasyncio.create_task(boom())\n"
        "late = asyncio.create_task(long())\n"
        "await asyncio.sleep(0.01)",
        probes=(
            MetricProbe(name="nan", expression="float('nan')", cell=1),
            MetricProbe(name="inf", expression="-float('inf')", cell=1),
            MetricProbe(name="yes", expression="True", cell=1),
            MetricProbe(name="text", expression="'0.5'", cell=1),
            *(MetricProbe(name=name, expression=text, cell=1) for name, text in NO_NUMBERS.items()),
            MetricProbe(name="gone", expression="nosuch", cell=1),
        ),
    )

    outcome = run(job)

    assert outcome.failure is None
    said = "\n".join(outcome.warnings)
    assert (
        "cell 1: an exception ended the thread worker: ZeroDivisionError: division by zero" in said
    )
    assert "cell 2: an exception could not be raised" in said
    assert "the asyncio task `held` failed and nobody awaited it: OSError: lost" in said
    assert "an asyncio task failed: OSError: lost" in said
    assert "the asyncio task long() was still pending at the end" in said
    for name in ("text", *NO_NUMBERS):
        assert f"the metric `{name}` has no value" in said
    assert "the metric `gone` has no value: NameError" in said
    values = {metric.name: metric.value for metric in outcome.probes}
    assert str(values) == "{'nan': nan, 'inf': -inf, 'yes': 1.0}"


def test_facts_are_noted(make_job: MakeJob) -> None:
    outcome = run(
        make_job(
            "import numpy as np\nbig = bytearray(50_000_000)", "import os; os.environ['A'] = 'b'"
        )
    )

    assert outcome.distributions is not None
    assert set(outcome.distributions) == {"numpy"}
    assert outcome.kernel_version is not None
    assert outcome.kernel_version.startswith("Python 3.")
    assert outcome.usage is not None
    assert outcome.usage.cpu_seconds
    assert outcome.usage.peak_memory_bytes
    assert outcome.usage.peak_memory_bytes > 50_000_000


def test_real_scraps_are_read(make_job: MakeJob) -> None:
    source = (
        "import scrapbook as sb\nsb.glue('acc', 0.5)\nsb.glue('acc', 0.97)\nsb.glue('names', ['a'])"
    )
    outcome = run(make_job(source))

    assert outcome.failure is None
    assert {scrap.name: scrap.data for scrap in outcome.scraps} == {"acc": 0.97, "names": ["a"]}
    assert all(scrap.cell == 1 for scrap in outcome.scraps)


def test_the_listener_hears_everything_in_order(make_job: MakeJob) -> None:
    heard = Recorder()
    program = (
        ProgramCell(role="injected", number=None, source="C = 2"),
        ProgramCell(
            role="step", number=4, source="print(C)\nimport sys; print('err', file=sys.stderr)"
        ),
    )
    run(make_job(*program), heard)

    assert heard.started == [0, 1]
    assert [cell.number for cell in heard.ended] == [None, 4]
    assert (4, "2\n", "stdout") in heard.texts
    assert (4, "err\n", "stderr") in heard.texts


def test_an_unknown_kernel_is_a_users_mistake(make_job: MakeJob) -> None:
    with pytest.raises(
        UsageError, match=r"there is no kernel named `pithon3`; installed are: .*python3"
    ):
        run(make_job("1", kernel_name="pithon3"))
