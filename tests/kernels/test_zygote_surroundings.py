"""What modules find while they are imported ahead of the steps.

It is what they would find in a kernel that was started.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from nbci.kernels.execute import run_job
from nbci.kernels.zygote.environment_first import changes_environment_first
from tests.kernels.real_kernels import Recorder, printed, zygotes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.kernels.job import JobOutcome, KernelJob

    MakeJob = Callable[..., KernelJob]

PACKAGES = {
    "dask": (
        "import os\nX = sorted(os.environ[k] for k, v in os.environ.items() if "
        "k.startswith('DASK_'))"
    ),
    "named": "import os\nX = os.environ.get('SHADE', 'plain')",
    "asked": "import os\nX = 'SHADE' in os.environ",
    "prefixed": "import os\nX = sorted(v for k, v in os.environ.items() if k.startswith('SHA'))",
    "terminal": "import os\nX = os.environ.get('TERM'), os.environ.get('FORCE_COLOR')",
    "configured": "import os\nX = open('rc').read() if os.path.exists('rc') else ''",
    "listed": "import glob\nX = glob.glob('*.cfg')",
    "placed": "import os\nX = os.path.basename(os.path.abspath('.'))",
    "at_home": "from pathlib import Path\nX = Path.home().joinpath('.shaderc').exists()",
    "dependent": "import named\nX = named.X * 2",
    "remembering": "import os\nOPEN, STAT, CWD = open, os.stat, os.getcwd\nX = 1",
    "speaking": "import sys\nprint('hello')\nprint('beware', file=sys.stderr)\nX = 0",
    "writing": "import os\nos.write(1, b'straight\\n')\nX = 0",
    "deprecated": (
        "import warnings\nwarnings.warn('go to named', DeprecationWarning, stacklevel=2)\nX = 0"
    ),
    "warning": "import warnings\nwarnings.warn('of no use', UserWarning)\nX = 0",
    "filtering": "import warnings\nwarnings.filterwarnings('ignore', message='noise')\nX = 0",
    "quiet": (
        "import warnings as w\nwith w.catch_warnings():\n    w.simplefilter('ignore')\n"
        "    w.warn('x')\nX = 0"
    ),
    "builtin": "import builtins\nbuiltins.extra = 5\nX = 0",
    "logging_out": (
        "import logging, sys\nlogging.basicConfig(stream=sys.stdout, "
        "format='LOG %(message)s')\nX = 0"
    ),
}
"""Installed packages, and what they read or do when they are imported."""

WHO = "import os; print(os.getppid())"
ALL = (
    "\n".join(f"import {name}; print('{name}', {name}.X)" for name in PACKAGES)
    + """
import builtins, logging, warnings
import multiprocessing.process
print(multiprocessing.process.ORIGINAL_DIR == remembering.CWD())
print(builtins.extra, len(warnings.filters), remembering.CWD() == remembering.OPEN('here').read())
warnings.warn('noise'); logging.warning('kept')
"""
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder whose modules count as installed."""
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    for name, source in PACKAGES.items():
        (folder / f"{name}.py").write_text(source)
    return folder


def series(*jobs: KernelJob) -> tuple[list[JobOutcome], list[str]]:
    async def one_after_another() -> tuple[list[JobOutcome], list[str]]:
        with zygotes() as own:
            return [await run_job(job, Recorder(), own) for job in jobs], own.reasons

    return asyncio.run(one_after_another())


def texts(outcome: JobOutcome) -> list[str]:
    """What each cell printed, less the places of temporary files."""
    assert outcome.failure is None
    lines = [
        printed(outcome, index).splitlines() for index in range(len(outcome.notebook["cells"]))
    ]
    return [
        line.rpartition("ipykernel_")[2].lstrip("0123456789/") for part in lines for line in part
    ]


def test_imports_find_what_they_would_find_in_a_started_kernel(
    make_job: MakeJob, installed: Path
) -> None:
    env = {"PYTHONPATH": str(installed), "HOME": str(installed.parent)}
    other = installed.parents[1] / "other"
    other.mkdir()
    (other / "rc").write_text("mine")
    (other / "a.cfg").write_text("")
    (other / "here").write_text(str(other))
    changed = {"cwd": other, "env": {**env, "SHADE": "dark", "DASK_X": "1"}}
    started = {"cwd": other, "env": {**env, "SHADE": "dark", "DASK_X": "1", "NBCI_ZYGOTE": "off"}}
    plain = make_job(WHO, "\n".join(f"import {name}" for name in PACKAGES), env=env)
    outcomes, reasons = series(
        plain, *(make_job(WHO, ALL, **where) for where in (changed, changed, started))
    )

    assert reasons == []
    parents = [printed(outcome, 0) for outcome in outcomes]
    assert parents[1] == parents[2] != parents[3] == f"{os.getpid()}\n"
    said = [
        sorted(texts(outcome)[1:]) for outcome in outcomes[1:]
    ]  # what goes past Python comes when it comes
    assert "named dark" in said[0]
    assert said[0] == said[1] == said[2]


HIDDEN = "import os\ngetattr(os, 'env' + 'iron')[{name!r}] = {value!r}"
"""Changes the environment in a way that cannot be seen without running it."""


def test_a_change_that_was_not_foreseen_counts_or_is_told(
    make_job: MakeJob, installed: Path
) -> None:
    env = {"PYTHONPATH": str(installed)}
    dark = HIDDEN.format(name="SHADE", value="dark")
    threads = HIDDEN.format(name="OPENBLAS_NUM_THREADS", value="1")
    again = (
        "import importlib, speaking, named\n"
        "importlib.reload(speaking); importlib.reload(named); print(named.X)"
    )
    outcomes, reasons = series(
        make_job("import named, dependent", env=env),
        make_job(dark, "import dependent, named; print(dependent.X, named.X)", env=env),
        make_job(threads, "import numpy; import numpy.linalg", env=env),
        make_job(again, env=env),
        make_job(
            "import warnings; warnings.simplefilter('error', DeprecationWarning)",
            "import deprecated",
            env=env,
        ),
    )

    assert reasons == []
    assert printed(outcomes[1], 1) == "darkdark dark\n"
    [told] = printed(outcomes[2], 1).splitlines()
    assert told.startswith("nbci: numpy was imported before")
    assert "OPENBLAS_NUM_THREADS" in told
    assert sorted(printed(outcomes[3], 0).split()) == [
        "beware",
        "beware",
        "hello",
        "hello",
        "plain",
    ]
    failure = outcomes[4].failure
    assert failure is not None
    assert "DeprecationWarning: go to named" in str(failure)


def test_variables_that_cells_set_count_for_what_is_imported_then(make_job: MakeJob) -> None:
    threads = (
        "import numpy, threadpoolctl\n"
        "print(max(pool['num_threads'] for pool in threadpoolctl.threadpool_info()))"
    )
    setting = "import os\nos.environ['OPENBLAS_NUM_THREADS'] = '1'"
    outside = make_job(WHO, "import settings", threads)
    (outside.cwd / "settings.py").write_text(setting)
    outcomes, reasons = series(make_job(WHO, threads), make_job(WHO, setting, threads), outside)

    assert reasons == []
    parents = [printed(outcome, 0) for outcome in outcomes]
    assert parents[0] != parents[1] == parents[2] != f"{os.getpid()}\n"
    assert [printed(outcomes[1], 2), printed(outcomes[2], 2)] == ["1\n", "1\n"]


SETS = "import os\nos.environ['X'] = '1'"


@pytest.mark.parametrize(
    ("sources", "first"),
    [
        ([SETS, "import numpy"], True),
        (["import numpy", SETS], False),
        (["import numpy", SETS, "from a import b"], True),
        (["def f():\n    import numpy", SETS, "f()"], True),
        ([SETS + "; import numpy"], True),
        (["%env X=1", "import numpy"], True),
        (["%env X 1", "import numpy"], True),
        (["%env X", "import numpy"], False),
        (["%set_env X 1\nimport numpy"], True),
        (["import os\nos.environ.setdefault('X', '1')\nos.environ.get('Y')", "import numpy"], True),
        (
            [
                "import os\nprint(os.environ['X'], os.environ.get('X'), dict(os.environ))",
                "import numpy",
            ],
            False,
        ),
        (["import os\nif os.environ['X'] == '1': pass", "import numpy"], False),
        (["import os\nenviron = os.environ\nenviron.update(X='1')", "import numpy"], True),
        (["from dotenv import load_dotenv\nload_dotenv()", "import numpy"], True),
        (["import os\nos.environ |= {}", "import numpy"], True),
        (["import os\nos.putenv('X', '1')", "import numpy"], True),
        (
            [
                "from unittest.mock import patch\nimport os\npatch.dict(os.environ, X='1').start()",
                "import numpy",
            ],
            True,
        ),
        (["from package import part", "import numpy"], True),
        (["import package", "import numpy"], False),
        (["%run script", "import numpy"], True),
        (["import through"], True),
        (["import not_there"], False),
    ],
)
def test_what_changes_the_environment_before_it_imports(
    tmp_path: Path, sources: list[str], first: bool
) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    for name in ("package/part.py", "script.py", "own.py"):
        (tmp_path / name).write_text(SETS)
    (tmp_path / "through.py").write_text("from own import *")

    assert changes_environment_first(sources, [tmp_path]) is first


def test_what_imports_looked_at_is_seen_at_the_step(make_job: MakeJob, installed: Path) -> None:
    (installed / "loud.py").write_text("import os\nX = os.environ.get('LOUD_LEVEL', '1')")
    (installed / "going_through.py").write_text(
        "import os\nX = [name for name in os.environ if name[:3] == 'GOI']"
    )
    env = {"PYTHONPATH": str(installed)}
    source = "import configured, listed, loud, going_through, named"
    jobs = [make_job(source, env={**env, **off}) for off in ({}, {"NBCI_ZYGOTE": "off"})]
    for job in jobs:
        (job.cwd / "rc").write_text("1")
    outcomes, reasons = series(make_job(source, env=env), *jobs)

    assert reasons == []
    for job, outcome in zip(jobs, outcomes[1:], strict=True):
        assert outcome.seen is not None
        sights = {sight[:2] for sight in outcome.seen.sights}
        assert {("file", str(job.cwd / "rc")), ("folder", str(job.cwd))} <= sights
    assert outcomes[1].seen is not None
    assert {"LOUD_*", "GOING_THROUGH_*"} <= set(outcomes[1].seen.variables)
    assert "SHADE" not in outcomes[1].seen.variables
