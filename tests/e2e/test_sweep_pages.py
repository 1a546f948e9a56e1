"""The pages of a sweep by the commands that write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nbci.app.sweeps.sweep_folder import SweepFolder
from tests.report import sweep_samples as samples

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console

REPORT = ".nbci/sweeps/20260102-030405-0000000/report/index.html"


def write_sweep(root: Path) -> SweepFolder:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    record = samples.sweep()
    folder = SweepFolder(root / ".nbci" / "sweeps" / record.sweep)
    folder.path.mkdir(parents=True)
    folder.write_record(record)
    for trial in samples.ordinary().trials:
        folder.add_trial(trial)
    return folder


def test_the_pages_of_a_sweep_are_written_into_its_folder(nbci: Console) -> None:
    folder = write_sweep(nbci.cwd)
    done = nbci("sweep", "show", "--html")
    assert (done.returncode, done.stdout) == (0, f"{REPORT}\n"), done.stderr
    page = (nbci.cwd / REPORT).read_text()
    assert "nbci run pipelines/digits.yaml -p C=20.0 -p kernel=null" in page
    # Nobody is at work at it: what has no end was killed.
    assert "2 interrupted" in page

    done = nbci("sweep", "show", folder.sweep[:10], "--html", "--json")
    assert json.loads(done.stdout) == {"sweep": folder.sweep, "page": REPORT}


def test_the_report_of_a_sweep_is_its_pages(nbci: Console) -> None:
    folder = write_sweep(nbci.cwd)
    done = nbci("report", folder.sweep)
    assert (done.returncode, done.stdout) == (0, f"{REPORT}\n"), done.stderr
    missing = nbci("report", "20990101")
    assert missing.returncode == 2
    assert "there is no run '20990101'" in missing.stderr
