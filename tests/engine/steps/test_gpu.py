from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbci.engine.steps.gpu import devices, try_lease
from tests.support.console import ROOT, Console
from tests.support.notebooks import write_notebook

_HOLDER = """
import sys
from pathlib import Path
from nbci.engine.steps.gpu import try_lease
lease = try_lease(("0", "1"), Path(sys.argv[1]))
print(lease.device if lease else "none", flush=True)
sys.stdin.read()
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _output_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def test_a_gpu_is_lent_once_and_freed_when_its_holder_is_killed(tmp_path: Path) -> None:
    first = _holder(tmp_path)
    assert _output_of(first) == "0"
    second = _holder(tmp_path)
    assert _output_of(second) == "1"
    assert try_lease(("0", "1"), tmp_path) is None
    _end(first)
    lease = try_lease(("0", "1"), tmp_path)
    assert lease is not None
    assert lease.device == "0"
    assert try_lease(("0", "1"), tmp_path) is None
    lease.release()
    again = try_lease(("0",), tmp_path)
    assert again is not None
    again.release()
    _end(second)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ("0,1", ("0", "1")),
        (" 2 , 3", ("2", "3")),
        ("", ()),
        ("-1", ()),
        ("GPU-8a/b", ("GPU-8a/b",)),
        ("0,-1,1", ("0",)),
    ],
)
def test_what_the_environment_allows(
    allowed: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    assert devices({"CUDA_VISIBLE_DEVICES": allowed}, tmp_path) == expected


def test_what_the_driver_shows(tmp_path: Path) -> None:
    assert devices({"PATH": "/nowhere"}, tmp_path / "absent") == ()
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert devices({}, tmp_path) == ("0", "1")


def test_a_name_with_a_slash_is_a_lock_inside_the_folder(tmp_path: Path) -> None:
    lease = try_lease(("MIG-GPU-1/2/0",), tmp_path)
    assert lease is not None
    lease.release()
    assert [path.parent for path in tmp_path.rglob("*.lock")] == [tmp_path]


_STEP = """
import os, time
from pathlib import Path
Path('had-{0}.part').write_text(os.environ['CUDA_VISIBLE_DEVICES'])
os.rename('had-{0}.part', 'had-{0}')
while not Path('go').exists():
    time.sleep(0.05)
"""


def test_parallel_steps_in_processes_of_their_own_have_a_gpu_each(tmp_path: Path) -> None:
    """Also with temporary folders of their own; the next one gets what a killed one had."""
    (tmp_path / ".git").mkdir()
    numbers = [f"{os.getpid()}{number}" for number in (1, 2)]
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(
        "#!/bin/sh\n" + "".join(f"echo {number}\n" for number in numbers), encoding="utf-8"
    )
    smi.chmod(0o755)
    nodes = ""
    for name in "abc":
        write_notebook(tmp_path / f"{name}.ipynb", [_STEP.format(name)])
        nodes += f"  {name}: {{notebook: {name}.ipynb, agent: gpu}}\n"
        (tmp_path / f"tmp-{name}").mkdir()
    (tmp_path / "p.yaml").write_text(f"pipeline: p\nsteps:\n{nodes}", encoding="utf-8")
    nbci = Console(tmp_path)
    assert nbci("plan", "p.yaml", "--out", "plan.json").returncode == 0
    path = f"{smi.parent}:{os.environ['PATH']}"

    def start(name: str) -> subprocess.Popen[str]:
        env = {"PATH": path, "TMPDIR": str(tmp_path / f"tmp-{name}")}
        return nbci.start("step", "--plan", "plan.json", "--store", f"store-{name}", name, env=env)

    def had(name: str, process: subprocess.Popen[str]) -> str:
        while not (tmp_path / f"had-{name}").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        return (tmp_path / f"had-{name}").read_text(encoding="utf-8")

    first, second = start("a"), start("b")
    lent = [had("a", first), had("b", second)]
    assert sorted(lent) == numbers
    third = start("c")
    first.kill()
    first.communicate()
    assert had("c", third) == lent[0]
    (tmp_path / "go").touch()
    for process in (second, third):
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    for number in numbers:  # the folder of locks is the machine's own
        Path(f"/tmp/nbci-gpu-{os.getuid()}/{number}.lock").unlink(missing_ok=True)
