"""The profile of what a model learnt from: made at its promotion, released, checked."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from nbci.errors import ExitCode, IntegrityError, UsageError
from nbci.git.process import Git
from nbci.promotion.fetched import find_release, get_release
from nbci.records.codec import from_json
from nbci.records.manifest import PROFILE_PATH
from nbci.records.profile import ReleaseProfile
from nbci.registry.grammar import parse_reference
from tests.promotion.promoting import promote_here
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.releases import Released

PIPELINE = """\
pipeline: digits
steps:
  train:
    notebook: nb/train.ipynb
    deps: [data/raw.csv]
    outs: [models/m.bin, data/parts]
    predictions: data/predictions.csv
    cwd: project
models:
  digits: {path: models/m.bin, stage: production, framework: plain, profile: data/parts}
  strange: {path: models/m.bin, framework: plain, profile: [data/parts, data/row.csv]}
  raw: {path: models/m.bin, framework: plain, profile: [data/raw.csv]}
"""
TRAIN = """\
import csv, os
os.makedirs('data/parts')
raw = open('data/raw.csv').read().split('\\n', 1)
for part in range(2):
    open(f'data/parts/{part}.csv', 'w').write('\\n'.join(raw) + '\\n')
with open('data/predictions.csv', 'w') as file:
    rows = csv.writer(file)
    rows.writerow(['id', 'label', 'prediction', 'score'])
    for number in range(60):
        rows.writerow([number, number % 2, 0 if number % 10 == 1 else number % 2, 0.9])
open('models/m.bin', 'w').write('model')
"""
ROWS = 50


def prepare(released: Released) -> None:
    """A run of models with profiles; what they learn from is known to nbci only by its digest."""
    project = released.project
    shutil.rmtree(project / "data")
    (project / "data").mkdir()
    lines = [f"{number},{'ab'[number % 2]},{number}-name\n" for number in range(ROWS)]
    (project / "data/raw.csv").write_text("amount,kind,person\n" + "".join(lines))
    write_notebook(project / "nb/train.ipynb", [TRAIN])
    (project / "pipeline.yaml").write_text(PIPELINE)
    released.git("commit", "-qam", "profiles")
    done = released.nbci("run", "pipeline.yaml", "--quiet")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_release_has_a_profile_that_is_checked(
    released: Released, stock: Callable[..., str], tmp_path: Path
) -> None:
    prepare(released)
    with pytest.raises(
        UsageError, match=r"no step of run \S+ read or made data/row.csv"
    ) as refused:
        promote_here(released, "latest", model="strange")
    assert refused.value.hint == "did you mean data/raw.csv?"
    # What the run read and made is measured, and not what lies there now.
    (released.project / "data/parts/0.csv").write_text("amount\n1000000\n")
    (released.project / "data/raw.csv").write_text("amount\n1000000\n")
    with pytest.raises(IntegrityError, match=r"data/raw.csv: what the run read is not here"):
        promote_here(released, "latest", model="raw")
    assert released.tags() == set()
    done = promote_here(released, "latest", model="digits")

    found = find_release(
        parse_reference("digits#production"), url=str(released.origin), folder=tmp_path
    )
    manifest = get_release(found, tmp_path / "release")
    assert manifest.profile is not None
    text = (tmp_path / "release" / PROFILE_PATH).read_bytes()
    profile = from_json(text, ReleaseProfile, "profile.json")
    assert (profile.rows, profile.role) == (2 * ROWS, "training")
    amount, kind, person = profile.columns
    assert (amount.high, kind.counts) == (ROWS - 1, {"a": ROWS, "b": ROWS})
    assert (person.kind, "1-name" in text.decode()) == ("text", False)
    assert [*(profile.sources or {})] == ["data/parts"]
    assert profile.evaluation is not None
    assert profile.evaluation.role == "evaluation"
    answers = profile.evaluation.column("prediction")
    assert answers is not None
    assert answers.counts == {"0": 36, "1": 24}
    assert profile.calibration is not None
    assert profile.calibration.curve.shares == (0.9,)

    stock("dvc", "get", released.origin, PROFILE_PATH, "--rev", "digits@v1.0.0", "-o",
          tmp_path / "got", cwd=tmp_path)  # fmt: skip
    assert (tmp_path / "got").read_bytes() == text
    card = Git(released.origin)("show", f"{done.commit}:.nbci/release.md")
    assert "| profile | nbci-profile.json" in card
    assert released.nbci("models", "verify").returncode == 0

    digest = manifest.profile.digest
    place = released.remote / "files/md5" / digest[:2] / digest[2:]
    place.chmod(0o644)
    place.write_bytes(text.replace(b"amount", b"amounT"))
    with pytest.raises(IntegrityError, match=r"nbci-profile\.json is not what was promoted"):
        get_release(found, tmp_path / "again")
    verified = released.nbci("models", "verify")
    assert verified.returncode == ExitCode.INTEGRITY
    assert f"{PROFILE_PATH}: the object {digest} on the DVC remote was altered" in verified.stderr
