"""The same run, one step at a time, each in a checkout of its own, with nothing but the store
carried between.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.samples import SampleRun

_TIMES_AND_PLACES = {
    "started_utc",
    "ended_utc",
    "seconds",
    "host",
    "usage",
    "run",
    "command",
    "git",
    "judged_utc",
}


@pytest.mark.parametrize("sample", ["digits", "wine"])
def test_the_record_is_that_of_a_local_run(
    sample: str, request: pytest.FixtureRequest, checkout: Callable[[str], Path], wine_database: str
) -> None:
    local: SampleRun = request.getfixturevalue(sample)
    env = {"WINE_DATABASE": wine_database} if sample == "wine" else {}
    first = checkout("plan")
    planned = Console(first)(
        "plan", f"pipelines/{sample}.yaml", "--out", "plan.json", "--format", "jenkins"
    )
    assert planned.returncode == 0, planned.stderr
    store = first / "store"
    for line in planned.stdout.splitlines()[2:]:
        there = checkout("agent")
        store = carried(store, there, first / "plan.json")
        for step in line.split("\t")[-1].split():
            done = Console(there)("step", "--plan", "plan.json", "--store", "store", step, env=env)
            assert done.returncode == 0, done.stdout + done.stderr
    last = checkout("finish")
    carried(store, last, first / "plan.json")
    finished = Console(last)("finish", "--plan", "plan.json", "--store", "store", "--json")
    assert finished.returncode == 0, finished.stderr
    run = last / ".nbci" / "runs" / json.loads(finished.stdout)["run"]
    assert list(differences(record_of(run), record_of(local.folder))) == []
    assert (run / "report" / "index.html").is_file()
    again = Console(last)("finish", "--plan", "plan.json", "--store", "store", "--json")
    assert json.loads(again.stdout)["run"] == run.name


def carried(store: Path, to: Path, plan: Path) -> Path:
    """Copy the store, and the plan that all steps are given, into another checkout."""
    shutil.copy(plan, to / "plan.json")
    if store.exists():
        shutil.copytree(store, to / "store")
    return to / "store"


def record_of(run: Path) -> dict[str, Any]:
    """The whole record but for host and times."""
    steps = sorted(
        path.relative_to(run).as_posix() for path in (run / "steps").rglob("record.json")
    )
    record = {
        name: json.loads((run / name).read_bytes()) for name in ("run.json", "plan.json", *steps)
    }
    stripped: dict[str, Any] = without(record)
    return stripped


def differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Where two documents differ: a failure that shows both whole shows nothing."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{place} {key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{place} {number}")
    elif one != other:
        yield f"{place}: {str(one)[:300]} != {str(other)[:300]}"


def without(value: Any) -> Any:
    if isinstance(value, dict):
        fit = {key: without(item) for key, item in value.items() if key not in _TIMES_AND_PLACES}
        if "observed" in fit:
            fit["observed"] = of_the_project(fit["observed"])
        return fit
    if isinstance(value, list):
        return [without(item) for item in value]
    return value


def of_the_project(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    """What a step used of the project's own; what else it met depends on the folder and on what was
    there before.
    """
    kinds = {"file", "module", "package"}
    found = [part for part in parts if part["kind"] in kinds and not part["label"].startswith("/")]
    return sorted(found, key=lambda part: (part["kind"], part["label"]))


def test_a_step_is_refused_before_those_it_comes_after(checkout: Callable[[str], Path]) -> None:
    project = checkout("early")
    nbci = Console(project)
    nbci("plan", "pipelines/digits.yaml", "--out", "plan.json")
    done = nbci("step", "--plan", "plan.json", "digits/train")
    assert done.returncode == 2
    assert (
        "step digits/train comes after digits/preprocess, whose record in the store is not there"
        in done.stderr
    )
    unknown = nbci("step", "--plan", "plan.json", "digits/trian")
    assert unknown.returncode == 2
    assert re.search(r"no step 'digits/trian'\s+→ did you mean 'digits/train'\?", unknown.stderr)


def test_a_plan_of_other_sources_is_refused(checkout: Callable[[str], Path]) -> None:
    project = checkout("changed")
    nbci = Console(project)
    nbci("plan", "pipelines/digits.yaml", "--out", "plan.json")
    notebook = project / "notebooks" / "digits.ipynb"
    notebook.write_text(
        notebook.read_text(encoding="utf-8").replace("load_digits", "load_digitz"), encoding="utf-8"
    )
    done = nbci("step", "--plan", "plan.json", "digits/preprocess")
    assert done.returncode == 2
    assert "notebooks/digits.ipynb: the file has changed since the plan was made" in done.stderr


def test_a_plan_of_another_version_is_refused(checkout: Callable[[str], Path]) -> None:
    project = checkout("version")
    nbci = Console(project)
    nbci("plan", "pipelines/digits.yaml", "--out", "plan.json")
    plan = json.loads((project / "plan.json").read_bytes())
    (project / "plan.json").write_text(json.dumps({**plan, "format": 99}), encoding="utf-8")
    done = nbci("step", "--plan", "plan.json", "digits/preprocess")
    assert done.returncode == 2
    assert "the plan has format 99, this nbci reads 1" in done.stderr
