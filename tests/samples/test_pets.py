"""The pet park: from pictures to a network that is fit for release."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
import pytest
from PIL import Image

from nbci.profiles.data_files import open_table
from nbci.profiles.drift import compare
from nbci.profiles.measure import measure_files
from tests.e2e.test_prove import commit_all, git
from tests.support.console import ROOT, Console
from tests.support.drawn_pets import KINDS, draw_pets
from tests.support.dvc import dvc, make_repository
from tests.support.samples import SampleRun, run_sample
from tests.support.tools import PETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TARGET = "pipelines/pets.yaml"
_BUILD = "build/pets"
# As the rule of pipelines/pets_watch.yaml has them.
_WATCHED = ("image.brightness", "image.contrast", "image.saturation")


def spoil(folder: Path) -> None:
    """Add a file for each reason to refuse one."""
    whole = folder / "cat/1-0.jpg"
    (folder / "cat/broken.jpg").write_bytes(whole.read_bytes()[:900])
    (folder / "cat/empty.jpg").touch()
    (folder / "cat/text.png").write_text("no picture", encoding="utf-8")
    # Other bytes, the same pixels.
    Image.open(whole).save(folder / "cat/doubled.png")
    shutil.copy(folder / "dog/1-0.jpg", folder / "cat/contradictory.jpg")
    Image.new("RGB", (200, 20)).save(folder / "dog/tiny.png")
    (folder / "readme.txt").write_text("left out, since it is no picture", encoding="utf-8")
    shutil.copy(folder / "cat/1-1.jpg", folder / "IMG_0001.jpg")


@pytest.fixture(scope="module")
def project(checkout: Callable[[str], Path]) -> Path:
    """The samples in a repository from which a model can be released, with drawn pictures."""
    root = checkout("pets")
    (root / ".gitignore").write_text(".nbci/\nbuild/\ndata/\n")
    make_repository(root)
    dvc(root, "remote", "add", "--default", "store", f"{root}-remote")
    git(root, "checkout", "-q", "-B", "main")
    git(root, "config", "user.name", "n")
    git(root, "config", "user.email", "n@example.com")
    commit_all(root)
    spoil(draw_pets(root / "data/pets", 48))
    return root


@pytest.fixture(scope="module")
def pets(project: Path) -> SampleRun:
    return run_sample(project, _TARGET, options=("-p", "at_most=100"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_pictures_that_are_no_use_are_refused_by_name(pets: SampleRun) -> None:
    refused = rows_of(pets.project / _BUILD / "refused.csv")
    assert {row["file"]: row["reason"] for row in refused} == {
        "IMG_0001.jpg": "unnamed",
        "cat/broken.jpg": "broken",
        "cat/contradictory.jpg": "contradictory",
        "cat/doubled.png": "doubled",
        "cat/empty.jpg": "broken",
        "cat/text.png": "broken",
        "dog/1-0.jpg": "contradictory",
        "dog/tiny.png": "tiny",
    }
    metrics = pets.shown["metrics"]
    assert metrics["ingest:broken_count"] == 3
    assert metrics["ingest:doubled_count"] == metrics["ingest:tiny_count"] == 1
    assert metrics["ingest:picture_count"] == 2 * 48 - 1


def test_the_network_learns_to_tell_them_apart(pets: SampleRun) -> None:
    metrics = pets.shown["metrics"]
    assert metrics["test:accuracy"] >= 0.9
    assert metrics["train/validate:cv_accuracy"] >= 0.9
    assert metrics["train/validate:cv_log_loss"] < 0.4
    warnings = []
    for path in (pets.folder / "steps").glob("**/record.json"):
        warnings += json.loads(path.read_bytes()).get("warnings", ())
    assert warnings == []


def test_the_file_takes_pictures_of_any_size_and_names_what_it_sees(pets: SampleRun) -> None:
    model = onnxruntime.InferenceSession(
        pets.project / _BUILD / "model.onnx", providers=["CPUExecutionProvider"]
    )
    for side in (96, 300):
        for kind in KINDS:
            files = sorted((pets.project / _BUILD / "test" / kind).glob("*.jpg"))[:8]
            enlarged = [Image.open(file).resize((side, side)) for file in files]
            said, shares = model.run(None, {"image": np.stack(list(map(np.asarray, enlarged)))})
            assert (said == kind).mean() > 0.6
            assert np.allclose(shares.sum(axis=1), 1)


def test_no_picture_changes_sides_when_more_come(
    pets: SampleRun, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = {row["id"]: row["part"] for row in rows_of(pets.project / _BUILD / "pictures.csv")}
    more = pets.project / "data/more"
    shutil.copytree(pets.project / "data/pets", more)
    draw_pets(more, 40, seed=2)
    archive = shutil.make_archive(str(pets.project / "data/more"), "zip", more)
    elsewhere = tmp_path_factory.mktemp("ingested")

    # By itself, as in Jupyter.
    params = [f"source={archive}", f"data={elsewhere}"]
    done = Console(pets.project)(
        "run", "notebooks/pets/ingest.ipynb", "-p", params[0], "-p", params[1]
    )

    assert done.returncode == 0, done.stderr
    after = {row["id"]: row["part"] for row in rows_of(elsewhere / "pictures.csv")}
    assert len(after) == len(before) + 80
    assert {name: after[name] for name in before} == before
    assert 0.1 < list(after.values()).count("test") / len(after) < 0.3


def test_the_network_is_released_with_a_sample(pets: SampleRun) -> None:
    nbci = Console(pets.project)
    done = nbci("promote", pets.folder.name, "--no-push")
    assert done.returncode == 0, done.stderr
    assert "pets v1.0.0 is in production" in done.stdout


def in_the_notebooks_folder(code: str, *arguments: str) -> Any:
    """What a script prints as JSON that imports the modules beside the notebooks."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=ROOT / "notebooks/pets",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_small_network_learns_from_nothing(pets: SampleRun) -> None:
    code = """
import json, sys, pathlib, numpy as np, small
from PIL import Image
files = sorted(pathlib.Path(sys.argv[1], "train").glob("*/*.jpg"))
pictures = np.stack([np.asarray(Image.open(file)) for file in files])
labels = np.array([file.parent.name == "dog" for file in files]).astype(int)
network = small.fit(
    pictures, labels, width=8, learning_rate=0.005, weight_decay=0.001, epochs=40, seed=1
)
# As the graph of ONNX says, which is another computation than the one that trained.
found = network.probability(pictures)
print(json.dumps([network.losses[0], network.losses[-1], float(((found > 0.5) == labels).mean())]))
"""
    first, last, accuracy = in_the_notebooks_folder(code, str(pets.project / _BUILD))
    assert last < first / 2
    assert accuracy >= 0.9


@pytest.mark.slow
def test_pictures_at_dusk_are_drift_and_others_at_noon_are_none(tmp_path: Path) -> None:
    noon, dusk = (
        draw_pets(tmp_path / "noon", 100, seed=2),
        draw_pets(tmp_path / "dusk", 100, seed=3),
    )
    code = """
import json, sys, pathlib, numpy as np, camera
from PIL import Image
generator = np.random.default_rng(1)
files = sorted(pathlib.Path(sys.argv[1]).glob("*/*.jpg"))
for file in files:
    Image.fromarray(camera.at_dusk(np.asarray(Image.open(file)), 0.8, generator)).save(file)
print(json.dumps(len(files)))
"""
    assert in_the_notebooks_folder(code, str(dusk)) == 200
    learned = measure_files(open_table(draw_pets(tmp_path / "learned", 100)))

    found = {}
    for folder in (noon, dusk):
        drifts, _ = compare(learned, measure_files(open_table(folder), like=learned))
        found[folder.name] = {each.column: each.psi for each in drifts if each.psi is not None}

    for column in _WATCHED:
        assert found["noon"][column] < 0.2
        assert found["dusk"][column] > 0.2


def test_weights_can_name_no_code() -> None:
    code = """
import io, json, pickle, os, backbone
class Hostile:
    def __reduce__(self):
        return os.system, ("exit 9",)
try:
    backbone.parse_weights(io.BytesIO(pickle.dumps(Hostile())))
except pickle.UnpicklingError as error:
    print(json.dumps(str(error)))
"""
    assert "no use for" in in_the_notebooks_folder(code)


def test_names_of_public_sets_tell_what_they_show() -> None:
    code = """
import json, sys, sources
print(json.dumps([sources.kind_of(name) for name in sys.argv[1:]]))
"""
    names = {
        "PetImages/Cat/12.jpg": "cat",
        "train/dog.7.jpg": "dog",
        "images/Maine_Coon_3.jpg": "cat",
        "images/saint_bernard_104.jpg": "dog",
        "IMG_0001.jpg": None,
        "category/4.jpg": None,
    }
    assert in_the_notebooks_folder(code, *names) == list(names.values())


def test_dusk_takes_the_light() -> None:
    code = """
import json, numpy as np, camera
picture = np.full((32, 32, 3), 180, np.uint8)
generator = np.random.default_rng(1)
seen = [camera.at_dusk(picture, dusk, generator) for dusk in (0.0, 0.5, 1.0)]
print(json.dumps([float(each.mean()) for each in seen]))
"""
    noon, evening, night = in_the_notebooks_folder(code)
    assert noon == 180
    assert 70 < evening < 110
    assert night < 20


@pytest.mark.needs("pets")
def test_photographs_are_told_apart(checkout: Callable[[str], Path]) -> None:
    root = checkout("photographs")
    (root / "data").mkdir()
    (root / "data/photographs").symlink_to(PETS)
    run = run_sample(root, _TARGET, options=("-p", "at_most=200", "-p", "source=data/photographs"))
    metrics: dict[str, Any] = run.shown["metrics"]
    assert metrics["test:accuracy"] >= 0.9
    assert metrics["test:auc"] >= 0.97
