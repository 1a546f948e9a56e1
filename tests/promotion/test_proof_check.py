"""Models that ask for a proof of their run, and what releases keep of it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.errors import IntegrityError
from nbci.promotion.checks import Refused
from nbci.promotion.proof_check import NotProved
from nbci.records.codec import to_json
from nbci.registry.read import read_manifest
from nbci.runs.run_file import content_digest
from tests.promotion.promoting import promote_here, run_again
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.releases import Released


def ask_for_a_proof(released: Released, proved: str = "required") -> str:
    """A new run of a commit whose model asks for a proof."""
    pipeline = released.project / "pipeline.yaml"
    text = pipeline.read_text().replace("framework: plain", f"framework: plain, proved: {proved}")
    pipeline.write_text(text)
    released.git("commit", "-qam", "a proof is asked for")
    return run_again(released)


def prove(released: Released, run: str, *options: str) -> str:
    """Prove the run; the id of the proof."""
    done = released.nbci("prove", run, "--json", *options)
    assert done.returncode in (0, 1), done.stderr
    return str(json.loads(done.stdout)["proof"])


def train(released: Released, cell: str) -> None:
    """Have the model trained by this cell."""
    write_notebook(released.project / "nb/train.ipynb", [("parameters", "C = 1.0"), cell])


def edit_proof(folder: Path, old: str, new: str) -> None:
    path = folder / "proof.json"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_run_without_a_proof_is_refused(released: Released) -> None:
    run = ask_for_a_proof(released)

    with pytest.raises(NotProved, match=rf"\(`proved: required`\): run {run} has none") as refused:
        promote_here(released, run)

    assert refused.value.exit_code == 3
    assert refused.value.hint == f"nbci prove {run}"
    assert released.tags() == set()


def test_a_proved_run_is_released_with_its_proof(released: Released) -> None:
    run = ask_for_a_proof(released, "identical")
    proof = prove(released, run)

    made = promote_here(released, run)

    folder = released.project / ".nbci/runs" / run / "runs" / proof
    assert made.commit is not None
    manifest = read_manifest(released.git, made.commit)
    assert manifest is not None
    assert manifest.proof is not None
    assert (manifest.proof.run, manifest.proof.agreement) == (proof, "identical")
    assert manifest.proof.steps == ("prepare", "train/svm")
    assert manifest.proof.digest == content_digest((folder / "proof.json").read_bytes())
    assert manifest.proof.seal == content_digest((folder / "seal.json").read_bytes())
    card = released.git("show", f"{made.commit}:.nbci/release.md")
    assert f"| proof | reproduced bit for bit, {_later(manifest.proof.sentence)}" in card
    listed = released.nbci("models")
    assert listed.stdout.splitlines()[0].endswith("reproduced")
    assert listed.stdout.splitlines()[1].endswith("bit for bit")
    (row,) = json.loads(released.nbci("models", "--json").stdout)
    assert row["proof"] == json.loads(to_json(manifest.proof))
    lineage = released.nbci("lineage", "digits@v1.0.0").stdout
    assert lineage.startswith(f"model digits@v1.0.0  {manifest.proof.sentence}\n")
    assert released.nbci("models", "verify").returncode == 0


def _later(sentence: str) -> str:
    return sentence.split(", ")[1].split(" later", maxsplit=1)[0]


def test_a_proof_of_some_steps_is_none(released: Released) -> None:
    run = ask_for_a_proof(released)
    proof = prove(released, run, "--steps", "train")

    with pytest.raises(NotProved, match=f"{proof} left out prepare, which the model comes of"):
        promote_here(released, run)


def test_a_proof_of_a_part_that_differs_counts_against_the_run(
    released: Released, tmp_path: Path
) -> None:
    # That it is not there is an observation which no proof compares beforehand.
    drift = tmp_path / "drift"
    train(
        released,
        f"import json, os\ndrift = 0.05 * os.path.exists('{drift}')\n"
        "rows = json.load(open('data/rows.json'))\n"
        "open('models/digits model.bin', 'w').write(f'{C} {rows}')\n"
        "json.dump({'accuracy': 0.9 + drift}, open('metrics.json', 'w'))",
    )
    run = ask_for_a_proof(released)
    prove(released, run)
    assert promote_here(released, run, dry_run=True).version == "v1.0.0"
    drift.touch()

    prove(released, run, "--steps", "train")

    with pytest.raises(Refused, match=r"was not reproduced, .*: file metrics\.json of step train"):
        promote_here(released, run)


def test_a_proof_with_a_large_tolerance_does_not_count(released: Released) -> None:
    train(
        released,
        "import json, os\nnoise = int.from_bytes(os.urandom(4), 'big') / 2**40\n"
        "json.dump({'C': C + noise}, open('models/model.json', 'w'))\n"
        "json.dump({'accuracy': 0.9}, open('metrics.json', 'w'))",
    )
    pipeline = released.project / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("digits model.bin", "model.json"))
    run = ask_for_a_proof(released)
    loose = prove(released, run, "--tolerance", "0.1")

    with pytest.raises(Refused, match=rf"{loose} lets numbers differ by 0\.1 of their size"):
        promote_here(released, run)


def test_what_is_not_behind_the_model_does_not_count(released: Released) -> None:
    pipeline = released.project / "pipeline.yaml"
    draw = "  draw: {notebook: nb/draw.ipynb, outs: [data/drawn.bin], cwd: project}\n"
    pipeline.write_text(pipeline.read_text().replace("models:\n", f"{draw}models:\n"))
    cell = "import os\nopen('data/drawn.bin', 'wb').write(os.urandom(9))"
    write_notebook(released.project / "nb/draw.ipynb", [cell])
    released.git("add", "nb")
    run = ask_for_a_proof(released)
    prove(released, run)

    made = promote_here(released, run)

    assert made.commit is not None
    manifest = read_manifest(released.git, made.commit)
    assert manifest is not None
    assert manifest.proof is not None
    assert manifest.proof.agreement == "identical"
    assert manifest.proof.steps == ("prepare", "train/svm")


def test_an_altered_proof_is_no_evidence(released: Released) -> None:
    run = ask_for_a_proof(released)
    proof = prove(released, run)
    folder = released.project / ".nbci/runs" / run / "runs" / proof
    edit_proof(folder, "bit for bit", "bit by bit")

    with pytest.raises(IntegrityError, match=f"the proof {proof} of run {run} cannot be trusted"):
        promote_here(released, run)
    prove(released, run)

    assert promote_here(released, run, dry_run=True).version == "v1.0.0"


def test_a_proof_of_another_run_is_none(released: Released) -> None:
    run = ask_for_a_proof(released)
    prove(released, run)
    done = released.nbci("run", "pipeline.yaml", "-p", "C=3", "--json")
    other = json.loads(done.stdout)["run"]
    runs = released.project / ".nbci/runs"
    (runs / run / "runs").rename(runs / other / "runs")

    with pytest.raises(NotProved, match=f"is not of the results that run {other} has now"):
        promote_here(released, other)


def test_a_run_that_reuses_all_of_a_proved_one_is_proved(released: Released) -> None:
    run = ask_for_a_proof(released)
    prove(released, run)

    again = run_again(released)

    assert again != run
    assert promote_here(released, again, dry_run=True).version == "v1.0.0"


def test_a_judgement_does_not_end_a_proof(released: Released) -> None:
    pipeline = released.project / "pipeline.yaml"
    pipeline.write_text(f"{pipeline.read_text()}gates: [{{metric: accuracy, at_least: 0.5}}]\n")
    run = ask_for_a_proof(released)
    prove(released, run)

    assert released.nbci("gate", run).returncode == 0

    assert promote_here(released, run, dry_run=True).version == "v1.0.0"


def test_signers_have_to_sign_the_proof_too(released: Released, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text("utf-8")
    signers = released.project / "signers"
    signers.write_text(f'ci@example.com namespaces="nbci-seal" {public}', encoding="utf-8")
    (released.project / "pyproject.toml").write_text('[tool.nbci]\nsigners = "signers"\n')
    released.git("add", "signers", "pyproject.toml")
    text = (released.project / "pipeline.yaml").read_text()
    (released.project / "pipeline.yaml").write_text(
        text.replace("framework: plain", "framework: plain, proved: required")
    )
    released.git("commit", "-qam", "signers")
    signing = {"NBCI_SIGNING_KEY": str(key)}
    done = released.nbci("run", "pipeline.yaml", "-p", "C=2", "--json", env=signing)
    run = json.loads(done.stdout)["run"]
    prove(released, run)

    with pytest.raises(IntegrityError, match="cannot be trusted"):
        promote_here(released, run)
    assert released.nbci("prove", run, env=signing).returncode == 0

    assert promote_here(released, run, dry_run=True).version == "v1.0.0"


def test_what_is_reproduced_may_be_promoted_at_once(released: Released, tmp_path: Path) -> None:
    run = ask_for_a_proof(released)

    done = released.nbci("prove", run, "--out", tmp_path / "out", "--promote", "--json")

    assert done.returncode == 0, done.stderr
    assert f"digits v1.0.0 is in production, from run {run}" in done.stderr
    assert released.tags() == {"digits@v1.0.0", "digits#production#1"}
    proof = json.loads(done.stdout)
    assert json.loads((tmp_path / "out/proof.json").read_bytes()) == proof
    first, result, description = (tmp_path / "out/ending.txt").read_text("utf-8").splitlines()
    assert first == "nbci-ending 1"
    assert result == f"result\tsuccess\t{proof['sentence']}"
    assert description == f"description\t✅ {proof['sentence']}"


def test_nothing_is_promoted_that_is_not_reproduced_or_of_another_branch(
    released: Released, tmp_path: Path
) -> None:
    drift = tmp_path / "drift"
    train(
        released,
        f"import json, os\ndrift = 0.05 * os.path.exists('{drift}')\n"
        "rows = json.load(open('data/rows.json'))\n"
        "open('models/digits model.bin', 'w').write(f'{C} {rows}')\n"
        "json.dump({'accuracy': 0.9 + drift}, open('metrics.json', 'w'))",
    )
    released.git("checkout", "-q", "-b", "topic")
    run = ask_for_a_proof(released)

    elsewhere = released.nbci("prove", run, "--promote")
    drift.touch()
    other = released.nbci("prove", run, "--promote", "--no-cause", "--out", tmp_path / "out")

    assert elsewhere.returncode == 0, elsewhere.stderr
    assert "not promoted: digits is promoted from main, release/* only" in elsewhere.stderr
    assert other.returncode == 1
    assert "result\tunstable\tnot reproduced" in (tmp_path / "out/ending.txt").read_text("utf-8")
    assert released.tags() == set()
