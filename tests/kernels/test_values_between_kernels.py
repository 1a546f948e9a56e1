"""Values through files from one real kernel to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.digests import file_digest
from nbci.errors import IntegrityError
from nbci.kernels.job import ProgramCell
from tests.kernels.real_kernels import printed, run, run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbci.handoff.values import ValueRef
    from nbci.kernels.job import JobOutcome, KernelJob

    MakeJob = Callable[..., KernelJob]

FUNCTIONS = """
class Model:
    def __init__(self): self.seen = []
    class Part: pass
def double(x): return 2 * x
"""
MAKES = """
import numpy as np, pandas as pd, sys, threading
model = Model(); part = Model.Part(); again = model
class Local:
    def __init__(self, n): self.n = n
local = Local(3); kind = Local
scale = 5
def scaled(x): return double(x) * scale
base = np.arange(10.0); view = base[2:5]
table = pd.DataFrame({'a': [1, 2, 3], 'b': ['x', 'y', 'z'], 'c': [.5, .25, .125]})
words = {'one', 'two', 'three'}
lists = [[1], [2]]; inner = lists[0]
np_again = np
plain = 7
"""
GIVEN = (
    "model part again local kind scale scaled base view table words lists inner np_again plain"
).split()
CHECKS = """
assert isinstance(model, Model) and isinstance(part, Model.Part) and again is model
assert isinstance(local, kind) and local.n == 3
assert scaled(2) == 20
scale = 1
assert scaled(2) == 4, 'a function sees the notebook as it is now'
scale = 5
view[0] = 99
assert base[2] == 99 and base.flags.writeable
base[2] = 2
assert inner is lists[0]
assert np_again.__name__ == 'numpy'
table.describe(); table.values; table['a'].sum(); repr(table); table.groupby('b').size()
list(words); len(lists); plain + 1
changed = 1
"""


def refs_of(outcome: JobOutcome) -> dict[str, ValueRef]:
    assert outcome.failure is None, outcome.failure
    return {ref.name: ref for ref in outcome.gives}


def with_functions(make_job: MakeJob, source: str, **changes: Any) -> KernelJob:
    functions = ProgramCell(role="functions", number=1, source=FUNCTIONS)
    names = frozenset({"Model", "double"})
    return make_job(
        functions,
        ProgramCell(role="step", number=2, source=source),
        defined_by_reference=names,
        **changes,
    )


def test_values_arrive_as_they_were(make_job: MakeJob) -> None:
    made = refs_of(run(with_functions(make_job, MAKES, gives=tuple(GIVEN))))

    assert made["model"].group == ("again", "model")
    assert made["model"].refs == ("Model",)
    assert made["scaled"].refs == ("double",)
    assert made["base"].group == ("base", "view")
    assert made["lists"].group == ("inner", "lists")
    assert made["table"].type == "pandas.DataFrame" or made["table"].type.startswith("pandas.")
    assert made["plain"].group == ("plain",)

    reads = with_functions(make_job, CHECKS, takes=tuple(made.values()), gives=(*GIVEN, "changed"))
    changes = with_functions(
        make_job,
        (
            "model.seen.append(1); table.loc[0, 'a'] = 9; words.add('four'); plain = 7; "
            "lists[1].append(3); base[0] = 1"
        ),
        takes=tuple(made.values()),
        gives=tuple(GIVEN),
        optional_gives=("nowhere",),
    )
    remade = with_functions(make_job, MAKES, gives=tuple(GIVEN))
    read, changed, again = (refs_of(outcome) for outcome in run_all(reads, changes, remade))

    assert {name: ref for name, ref in read.items() if name != "changed"} == made
    differ = {name for name, ref in changed.items() if ref.object != made[name].object}
    assert differ == {"model", "again", "table", "words", "lists", "inner", "base", "view"}
    assert {name for name, ref in again.items() if ref != made[name]} == set(), "digests repeat"


def test_equal_values_that_become_one_are_one_from_then_on(make_job: MakeJob) -> None:
    makes = """
import numpy as np, pandas as pd
a, b, other = [1], [1], [1]
big, same = np.zeros(5000), np.zeros(5000)
table, frame = pd.DataFrame({'x': [1]}), pd.DataFrame({'x': [1]})
part = np.zeros(100); inner = [[1]]
"""
    names = ("a", "b", "other", "big", "same", "table", "frame", "part", "inner")
    made = refs_of(run(make_job(makes, gives=names)))
    assert all(ref.group == (name,) for name, ref in made.items())

    takes = tuple(made.values())
    binds = "b = a; same = big; frame = table; part = big[:100]; inner = [b]"
    bound = refs_of(run(make_job(binds, takes=takes, gives=names)))
    assert bound["other"] == made["other"]
    assert bound["a"].group == ("a", "b", "inner")
    assert bound["same"].group == ("big", "part", "same")
    assert bound["table"].group == ("frame", "table")

    changes = """
b.append(1); same[5] = 7; frame.loc[0, 'x'] = 2
assert a == [1, 1] == inner[0] and other == [1], (a, inner, other)
assert big[5] == part[5] == 7 and table.loc[0, 'x'] == 2
a = [1, 1]
"""
    parted = refs_of(run(make_job(changes, takes=tuple(bound.values()), gives=names)))
    assert parted["a"].group == ("a",)
    assert parted["b"].group == ("b", "inner")


def test_a_value_whose_file_goes_while_it_is_read_is_written_again(make_job: MakeJob) -> None:
    (ref,) = refs_of(
        run(make_job("import numpy as np\nx = np.arange(5000.0)", gives=("x",)))
    ).values()
    reads = make_job(
        "import pathlib\nx.sum()\npathlib.Path(folder, name[:2], name[2:]).unlink()", takes=(ref,)
    )
    where = f"folder, name = {str(reads.values_folder)!r}, {ref.object!r}"
    (cell,) = reads.cells
    reads = replace(reads, cells=(replace(cell, source=f"{where}\n{cell.source}"),), gives=("x",))

    assert refs_of(run(reads)) == {"x": ref}
    assert printed(run(make_job("print(x.sum())", takes=(ref,))), 0) == "12497500.0\n"


UNSAVEABLE = {
    "handle": "handle = open('f.txt', 'w+')",
    "reading": "open('g.txt', 'w').close(); reading = [open('g.txt')]",
    "lock": "import threading; lock = threading.Lock()",
    "stream": "stream = (n for n in range(3))",
    "thread": "import threading; thread = threading.Thread(target=print)",
    "base": "import sqlite3; base = sqlite3.connect(':memory:')",
}


def test_what_cannot_be_saved_is_named(make_job: MakeJob) -> None:
    consumers: Mapping[str, str] = dict.fromkeys(UNSAVEABLE, "predict")
    all_of_them = make_job(
        "\n".join(UNSAVEABLE.values()), gives=tuple(UNSAVEABLE), consumers=consumers
    )
    one = make_job("handle = open('f.txt', 'w')", gives=("handle",), consumers=consumers)
    missing = make_job("x = 1", gives=("x", "y"), consumers={"y": "predict"})
    secret = make_job(
        (
            "import numpy as np, os\nkeep = 1\nurl = 'db://' + os.environ['TOKEN']\n"
            "wide = np.array([os.environ['TOKEN']])"
        ),
        gives=("keep", "url"),
        secrets={"TOKEN": "hunter2-secret"},
        env={"TOKEN": "hunter2-secret"},
    )
    wide = replace(secret, gives=("wide",), log_path=secret.cwd / "other.log")

    whole, single, absent, leaking, leaking_wide = (
        o.failure for o in run_all(all_of_them, one, missing, secret, wide)
    )

    assert whole is not None
    assert all(f"`{name}` (type" in whole.message for name in UNSAVEABLE)
    assert single is not None
    assert single.kind == "unsaveable"
    assert single.message == (
        "`handle` (type _io.TextIOWrapper), which step `predict` needs, "
        "made by step `train`, cannot be saved: "
        "an open file belongs to the process that opened it"
    )
    assert single.hint
    assert absent is not None
    assert (absent.kind, absent.message) == (
        "missing",
        "step `train` ended without `y`, which step `predict` needs",
    )
    for failure, name in ((leaking, "url"), (leaking_wide, "wide")):
        assert failure is not None
        assert failure.kind == "unsaveable"
        assert f"`{name}`" in failure.message
        assert "hunter2" not in str(failure)
    assert not any(
        b"hunter2" in path.read_bytes()
        for path in secret.values_folder.rglob("*")
        if path.is_file()
    )


def test_files_that_are_not_what_they_were_are_refused(make_job: MakeJob) -> None:
    (ref,) = refs_of(run(make_job("x = list(range(1000))", gives=("x",)))).values()
    takes = make_job("x", takes=(ref,))
    path = takes.values_folder / ref.object[:2] / ref.object[2:]
    whole = path.read_bytes()

    path.write_bytes(whole[:-1])
    with pytest.raises(IntegrityError, match="`x` is altered"):
        run(takes)
    path.unlink()
    with pytest.raises(IntegrityError, match="`x` is missing"):
        run(replace(takes, log_path=takes.cwd / "second.log"))


def test_a_value_whose_module_is_gone_is_explained(make_job: MakeJob) -> None:
    job = make_job("import only_here\nx = only_here.Thing()", gives=("x",))
    (job.cwd / "only_here.py").write_text("class Thing: pass\n")
    (ref,) = refs_of(run(job)).values()

    failure = run(make_job("x", takes=(ref,))).failure

    assert failure is not None
    assert (
        "the value `x` cannot be loaded: ModuleNotFoundError: No module named 'only_here'"
        in failure.message
    )


def test_cloudpickle_is_sent_where_it_is_missing(make_job: MakeJob) -> None:
    hide = ProgramCell(
        role="imports",
        number=1,
        source="import sys\nassert 'cloudpickle' in sys.modules or True",
    )
    job = make_job(
        hide, ProgramCell(role="step", number=2, source="f = lambda x: x + 1"), gives=("f",)
    )
    folder = job.cwd / "blocked"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\nclass Block:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'cloudpickle': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
    )
    blocked = {**job.env, "PYTHONPATH": str(folder)}
    made = refs_of(run(replace(job, env=blocked)))
    outcome = run(replace(make_job("print(f(1))", takes=tuple(made.values())), env=blocked))

    assert printed(outcome, 0) == "2\n"


OTHER_INTERPRETER = (
    "import importlib.machinery\n"
    "importlib.machinery.EXTENSION_SUFFIXES = ['.other-1-arch.so', '.so']\n"
)
ARRAYS = "import numpy as np\nbig, small = np.arange(400_000.0), [1, 2]\n"


def files_in(folder: Path) -> dict[str, str]:
    """Name and digest of every file that holds a value, however it is named."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)).replace("/", ""): file_digest(path)[0] for path in files}


def test_a_kernel_that_cannot_digest_gives_what_others_give(make_job: MakeJob) -> None:
    names = ("big", "small")
    job = make_job(OTHER_INTERPRETER + ARRAYS, gives=names)
    made = refs_of(run(job))
    files = files_in(job.values_folder)
    assert {ref.object: ref.object for ref in made.values()} == files
    assert not any(
        path.stat().st_mode & 0o222 for path in job.values_folder.rglob("*") if path.is_file()
    )

    takes = tuple(made.values())
    usual = make_job(ARRAYS, gives=names)
    remade = make_job(OTHER_INTERPRETER + "big = big + 0\nsmall = [1, 2]", takes=takes, gives=names)
    reads = make_job(
        OTHER_INTERPRETER + "assert big[7] == 7 and small == [1, 2]", takes=takes, gives=names
    )
    assert [refs_of(outcome) for outcome in run_all(usual, remade, reads)] == [made, made, made]
    assert files_in(job.values_folder) == files


def test_what_cannot_be_digested_is_removed_when_another_value_is_refused(
    make_job: MakeJob,
) -> None:
    job = make_job(
        OTHER_INTERPRETER + "a = 1; b = 'hunter-2'",
        gives=("a", "b"),
        secrets={"PASSWORD": "hunter-2"},
    )
    failure = run(job).failure
    assert failure is not None
    assert "it contains the value of a secret" in failure.message
    assert not files_in(job.values_folder)


def test_the_package_of_the_user_is_not_confused_with_the_one_that_digests(
    make_job: MakeJob,
) -> None:
    (ref,) = refs_of(run(make_job("x = 1", gives=("x",)))).values()
    late = "import sys\nassert not any('blake3' in name for name in sys.modules)\n"
    own = "import pathlib, blake3\nassert blake3.blake3(b'').hexdigest()[:6] == 'af1349'\n"
    hers = make_job(late + own + "y = x + 1", takes=(ref,), gives=("x", "y"))
    seen = run(hers)
    assert refs_of(seen)["x"] == ref
    plain = run(make_job(late + "y = x + 1", takes=(ref,), gives=("x", "y")))
    assert refs_of(plain) == refs_of(seen)
    assert "blake3" in (seen.distributions or {})
    assert "blake3" not in (plain.distributions or {})
