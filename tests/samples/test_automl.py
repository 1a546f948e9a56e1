"""The sample that searches: the best of several families of models leaves as an ONNX file."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_prove import commit_all, git
from tests.support.console import Console
from tests.support.dvc import dvc, make_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TARGET = "pipelines/automl.yaml"
_OWN_PARAMETERS = {
    "logistic": {"C"},
    "forest": {"forest_features", "forest_leaf"},
    "boosting": {"boosting_rate", "boosting_depth"},
    "network": {"network_units", "network_alpha"},
}


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for all tests here: the best trial is run again from what the sweep computed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def project(_own_cache: None, checkout: Callable[[str], Path]) -> Path:
    """The samples in a repository from which a model can be released."""
    root = checkout("automl")
    (root / ".gitignore").write_text(".nbci/\nbuild/\n")
    make_repository(root)
    dvc(root, "remote", "add", "--default", "store", f"{root}-remote")
    git(root, "checkout", "-q", "-B", "main")
    git(root, "config", "user.name", "n")
    git(root, "config", "user.email", "n@example.com")
    commit_all(root)
    return root


@pytest.fixture(scope="module")
def found(project: Path) -> dict[str, Any]:
    """What the first trials of the sweep came to."""
    # The sampler's first trials are drawn by the sweep's seed, and have each family.
    done = Console(project)("sweep", _TARGET, "best", "--trials", "8", "--json")
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_families_are_searched_with_their_own_parameters_over_data_prepared_once(
    found: dict[str, Any],
) -> None:
    trials = found["trials"]
    assert {trial["params"]["family"] for trial in trials} == {*_OWN_PARAMETERS}
    for trial in trials:
        params = trial["params"]
        assert params.keys() - {"family"} == _OWN_PARAMETERS[params["family"]]
        assert trial["state"] == "complete"
        # The forest's own default is about 0.11; one that answers by chance has 0.69.
        assert 0.05 < trial["values"][0] < 0.6
    # `preprocess` once, and nothing behind the objective: no trial looks at the held-out tumours.
    assert found["computed"]["steps"] == len(trials) + 1


def test_the_best_one_passes_the_gates_and_is_released_as_onnx(
    project: Path, found: dict[str, Any]
) -> None:
    nbci = Console(project)
    best = found["trials"][found["best"]]
    shown = nbci("sweep", "show", found["sweep"]).stdout
    _, _, command = shown.partition("run it with: nbci ")

    done = nbci(*shlex.split(command.splitlines()[0]), "--json")

    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    results = {step["name"]: step["result"] for step in run["steps"]}
    assert results["automl/preprocess"] == results["automl/validate"] == "reused"
    metrics = run["metrics"]
    assert metrics["automl/validate:cv_log_loss"] == best["values"][0]
    assert metrics["automl/test:accuracy"] >= 0.95
    assert metrics["automl/package:onnx_accuracy"] == metrics["automl/test:accuracy"]
    # The release tries the ONNX file on its sample, so it needs both as the run made them.
    sample = "build/automl/sample.npz"
    kept = object_of(run, sample, project)
    away = kept.rename(f"{kept}.away")
    (project / sample).unlink()
    done = nbci("promote", "latest", "--no-push")
    assert done.returncode == 5
    assert f"{sample}: what the run made is not here any more" in done.stderr
    away.rename(kept)
    done = nbci("sweep", "promote", found["sweep"], "--no-push")
    assert done.returncode == 0, done.stderr
    assert "tumours v1.0.0" in done.stdout
    assert "chosen: best of 8 trials" in done.stdout


def object_of(run: dict[str, Any], path: str, project: Path) -> Path:
    """Where DVC's cache has a file that the run made."""
    outs = [out for step in run["steps"] for out in step.get("outs", ())]
    (digest,) = (out["digest"] for out in outs if out["path"] == path)
    return project / f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"


def test_a_model_that_misses_too_many_is_refused(project: Path, found: dict[str, Any]) -> None:
    done = Console(project)("run", _TARGET, "-p", "family=forest", "--json")

    assert done.returncode == 3, done.stderr
    run = json.loads(done.stdout)
    assert run["metrics"]["automl/test:sensitivity"] < 0.88
    # Trees answer alike in ONNX: they learned from what its transform gives.
    assert run["metrics"]["automl/package:onnx_accuracy"] == run["metrics"]["automl/test:accuracy"]
