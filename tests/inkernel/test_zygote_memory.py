from __future__ import annotations

import subprocess
import sys

import pytest

from nbci.inkernel.zygote.memory import adjacent_copies, unmodified_mappings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="zygotes are for Linux")

MAPPED = """\
{start}-{end} {rights} 00003000 fe:00 247741                     {path}
Rss:                  80 kB
Private_Clean:        80 kB
Anonymous:            {changed} kB
Swap:                 {swapped} kB
VmFlags: rd ex mr mw me
"""


def mapped(
    rights: str = "r-xp", path: str = "/lib/x.so", changed: int = 0, swapped: int = 0
) -> list[str]:
    written = MAPPED.format(
        start="7f00", end="8f00", rights=rights, path=path, changed=changed, swapped=swapped
    )
    return written.splitlines()


def test_only_what_can_be_read_from_its_file_again_is_let_go() -> None:
    assert (
        unmodified_mappings(mapped() + mapped("r--p", "/lib/with space.so"))
        == [(0x7F00, 0x8F00)] * 2
    )
    kept = [
        mapped(changed=4),
        mapped(swapped=4),
        mapped("rw-p"),
        mapped("r-xs"),
        mapped(path=""),
        mapped(path="[vdso]"),
        mapped(path="/dev/nvidia0"),
    ]
    assert [unmodified_mappings(smaps) for smaps in kept] == [[]] * len(kept)


def test_a_process_goes_on_without_the_pages_that_it_let_go() -> None:
    code = """
from nbci.inkernel.zygote import memory
import ctypes, decimal, sqlite3, ssl

def clean_kilobytes():
    with open("/proc/self/smaps_rollup") as file:
        clean = [line for line in file if line.startswith(("Private_Clean", "Shared_Clean"))]
        return sum(int(line.split()[1]) for line in clean)

before = clean_kilobytes()
memory.release_file_pages()
after = clean_kilobytes()
assert decimal.Decimal("0.1") + 1
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
assert ssl.create_default_context() is not None
print(before, after)
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    before, after = map(int, printed.split())
    assert after < before / 2


def test_copies_of_names_are_equal_and_new() -> None:
    names = ["numpy.linalg", "numpy", "numpy.linalg"]
    copies = adjacent_copies(names)
    assert copies == {"numpy.linalg": "numpy.linalg", "numpy": "numpy"}
    assert all(copies[name] is not name for name in names)
