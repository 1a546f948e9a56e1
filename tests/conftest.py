"""Guards around every test, and the fixtures that several folders use."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import hypothesis
import pytest

from tests.support.console import Console
from tests.support.guards import (
    end_strays,
    forbid_network,
    isolate_environment,
    listen_to_interrupts,
)
from tests.support.notebooks import write_notebook
from tests.support.tools import LEAVE_NOTHING_OUT, may_be_left_out, reason_to_leave_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Modules that hold assertions and are no test modules themselves.
pytest.register_assert_rewrite(
    "tests.app.study_contract", "tests.data.remote_contract", "tests.forge.forge_contract"
)

pytest_plugins = [
    "tests.support.browser",
    "tests.support.controller",
    "tests.support.jenkins",
    "tests.support.jobs",
    "tests.support.releases",
    "tests.support.samples",
]

# Whole commands with real kernels, git and DVC; and modules that take about ten seconds or more.
_SLOW_FOLDERS = frozenset(("docs", "e2e", "promotion", "samples"))
_SLOW_MODULES = frozenset(
    (
        "app/test_build_files",
        "app/test_run_out",
        "cli/test_doctor",
        "cli/test_lint",
        "cli/test_step_in_a_folder",
        "cli/test_unchanged",
        "data/test_dvc_export",
        "data/test_dvc_imports",
        "data/test_fetch",
        "data/test_repository",
        "data/test_sharing",
        "engine/distributed/test_part_interrupted",
        "engine/steps/test_environment",
        "engine/test_schedule",
        "forge/test_comment",
        "inkernel/test_value_files",
        "jenkins/test_jenkins_contract",
        "jenkins/test_jenkins_doctor",
        "jenkins/test_jenkins_run",
        "jenkins/test_plugin_on_controller",
        "kernels/test_execute",
        "kernels/test_floods",
        "kernels/test_other_languages",
        "kernels/test_outputs",
        "kernels/test_process",
        "kernels/test_values_between_kernels",
        "kernels/test_widgets",
        "kernels/test_zygote",
        "kernels/test_zygote_entry_points",
        "kernels/test_zygote_faults",
        "kernels/test_zygote_parity",
        "kernels/test_zygote_surroundings",
        "lint/test_check",
        "records/test_journal_replay",
        "report/test_in_chromium",
        "runs/test_signature",
        "test_commands",
        "test_graph",
        "test_main",
        "test_release",
    )
)

_LEFT_OUT = "left out: "
# read now: the guards remove nbci's own variables
_NOTHING_LEFT_OUT = os.environ.get(LEAVE_NOTHING_OUT, "") not in {"", "0"}

# A loaded machine is slow at times; that is no defect of a property.
_SLOW_IS_FINE = (hypothesis.HealthCheck.too_slow,)
hypothesis.settings.register_profile("default", deadline=None, suppress_health_check=_SLOW_IS_FINE)
hypothesis.settings.register_profile(
    "soak", deadline=None, suppress_health_check=_SLOW_IS_FINE, max_examples=5000
)
hypothesis.settings.load_profile("default")


class MakeNotebook(Protocol):
    """`support.notebooks.write_notebook`, with a path relative to the test's own folder."""

    def __call__(
        self,
        path: str | Path,
        cells: Iterable[str | tuple[str | Iterable[str], str]],
        **options: Any,
    ) -> Path: ...


@pytest.fixture(scope="session", autouse=True)
def _guards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        isolate_environment(patch, tmp_path_factory.mktemp("home"))
        forbid_network(patch)
        listen_to_interrupts()
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_strays(_guards: None) -> Iterator[None]:
    yield
    strays = end_strays()
    assert not strays, f"processes were left behind: {strays}"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reuses the results of another."""
    monkeypatch.setenv(
        "XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / f"cache-{secrets.token_hex(6)}")
    )


@pytest.fixture(autouse=True)
def _dvc_logs_here() -> None:
    """DVC's loggers keep the stderr of the test that first imported DVC, which is closed then."""
    for handler in logging.getLogger("dvc").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.stream = sys.stderr


@pytest.fixture
def nbci(tmp_path: Path) -> Console:
    """The console, in the test's own folder: `nbci("run", notebook).returncode`."""
    return Console(tmp_path)


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is not the project's, and no other test's."""
    return tmp_path_factory.mktemp("outside")


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    def make(
        path: str | Path, cells: Iterable[str | tuple[str | Iterable[str], str]], **options: Any
    ) -> Path:
        return write_notebook(tmp_path / path, cells, **options)

    return make


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what `make quick` leaves out, and have several workers begin with it."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue  # a doctest of nbci
        module = item.path.relative_to(here).with_suffix("")
        if module.parts[0] in _SLOW_FOLDERS or module.as_posix() in _SLOW_MODULES:
            item.add_marker(pytest.mark.slow)

    # Else a long module may be the last one, with all other workers idle.
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for tool in (tool for mark in item.iter_markers("needs") for tool in mark.args):
        reason = reason_to_leave_out(tool)
        if reason and _NOTHING_LEFT_OUT and not may_be_left_out(tool):
            pytest.fail(f"{reason}, and {LEAVE_NOTHING_OUT} is set", pytrace=False)
        if reason:
            pytest.skip(_LEFT_OUT + reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what this machine could not run, and why."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        _, _, reason = report.longrepr
        if _LEFT_OUT in reason:
            reason = reason.partition(_LEFT_OUT)[2]
            reasons[reason] = reasons.get(reason, 0) + 1
    terminalreporter.section("left out on this machine")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count} test{'s' if count > 1 else ''}: {reason}")
    if terminalreporter.config.option.markexpr == "not soak":
        terminalreporter.line("the long random tests: run them with `make soak`")
    elif not reasons:
        terminalreporter.line("nothing")
