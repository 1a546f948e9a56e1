"""What must be equal for a kernel to be forked from a zygote.

It was decided when the zygote started, and a fork cannot change it any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAUNCHER = "ipykernel_launcher"

# Names that are known, so that most kernels find their zygote at the first try. What else an import
# reads is noticed when it happens (`readings`), and costs a second zygote.
READ_AT_IMPORT = (
    "HOME LANG LANGUAGE TZ NO_COLOR FORCE_COLOR COLUMNS LINES TERM VIRTUAL_ENV USE_TORCH USE_TF "
    "DYLD_LIBRARY_PATH SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"
).split()
READ_AT_IMPORT_PREFIXES = tuple(
    "PYTHON IPYTHON JUPYTER XDG_ LC_ LD_ MALLOC_ OMP_ GOMP_ KMP_ OPENBLAS_ MKL_ BLIS_ VECLIB_ "
    "NUMEXPR_ NPY_ NUMPY_ NUMBA_ MPL MATPLOTLIB SCIPY_ SKLEARN_ PANDAS_ POLARS_ ARROW_ PYARROW_ "
    "JOBLIB_ LOKY_ DASK_ CONDA_ TORCH PYTORCH_ TF_ XLA_ JAX_ KERAS_ HF_ HUGGINGFACE_ TRANSFORMERS_ "
    "TOKENIZERS_ XGBOOST_ LIGHTGBM_ RAYON_ RUST_ TBB_ DNNL_ ONEAPI_ GOTO_ FLEXIBLAS CUDA_ NVIDIA_ "
    "CUBLAS_ HIP_ ROCR_".split()
)
NEVER = ("JUPYTER_TOKEN", "HF_TOKEN", "LINES", "PYTHON_KEYRING_BACKEND")
"""Secret, or without effect on an import."""
_PLACES = ("PYTHONHOME", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX", "LD_LIBRARY_PATH")


class Command(Struct, frozen=True, kw_only=True):
    """How a kernel would be started: the interpreter with options, and the launcher's arguments."""

    interpreter: tuple[str, ...]
    arguments: tuple[str, ...]


def ipykernel_command(argv: Sequence[str]) -> Command | None:
    """The parts of a command that starts ipykernel and nothing else, or None."""
    words = list(argv)
    if "-m" not in words:
        return None
    place = words.index("-m")
    options = words[1:place]
    launcher, arguments = words[place + 1 : place + 2], words[place + 2 :]
    if not place or launcher != [LAUNCHER] or "-f" not in arguments:
        return None
    # A word that is no option would be a script, and `-` the standard input.
    if any(not option.startswith("-") or option == "-" for option in options):
        return None

    program: str | None = words[0]
    if not os.path.isabs(words[0]):
        program = shutil.which(words[0])
    if not program:
        return None
    return Command(interpreter=(program, *options), arguments=tuple(arguments))


def import_time_environment(env: Mapping[str, str], cwd: str) -> dict[str, str]:
    """The variables that interpreters and libraries read when they are loaded.

    `PYTHONPATH` is as seen from `cwd`. Without a hash seed it is 0, as all forks share one.
    """
    found = {}
    for name, value in sorted({"PYTHONHASHSEED": "0", **env}.items()):
        is_read = name in READ_AT_IMPORT or name.startswith(READ_AT_IMPORT_PREFIXES)
        if is_read and name not in NEVER:
            found[name] = value

    # A zygote runs in `/`, where relative folders would mean others.
    if found.get("PYTHONPATH"):
        folders = found["PYTHONPATH"].split(os.pathsep)
        found["PYTHONPATH"] = os.pathsep.join(os.path.join(cwd, folder) for folder in folders)
    return found


def has_relative_places(env: Mapping[str, str]) -> bool:
    """Whether the interpreter would look for itself or libraries in the folder it starts in."""
    for name in _PLACES:
        for part in env.get(name, "").split(os.pathsep):
            if part and not os.path.isabs(part):
                return True
    return False


def key_of(command: Command, env: Mapping[str, str], cwd: str, *, debugger: bool) -> str:
    """A name for the zygotes that can fork this kernel, as far as nbci can tell by itself.

    The interpreter is not asked: that would take as long as to start it.
    """
    program = command.interpreter[0]
    try:
        found = os.stat(program)
        identity = [os.path.realpath(program), found.st_mtime_ns, found.st_size, found.st_ino]
    except OSError:
        identity = []
    facts = [command.interpreter, identity, import_time_environment(env, cwd), debugger]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
