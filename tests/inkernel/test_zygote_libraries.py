"""Names of environment variables are found in the libraries that ask for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nbci.inkernel.zygote.libraries import loaded_libraries, names_in


def test_names_of_variables_stand_in_libraries_as_whole_words() -> None:
    [blas] = [
        path for path in loaded_libraries() if "openblas" in Path(path).name and np.__name__ in path
    ]

    assert names_in([blas], ["OPENBLAS_NUM_THREADS", "OPENBLAS_NUM", "NOBODY_ASKS_FOR_THIS"]) == {
        "OPENBLAS_NUM_THREADS"
    }


def test_a_library_that_asks_for_no_variable_names_none(tmp_path: Path) -> None:
    odd, empty = tmp_path / "odd.so", tmp_path / "empty.so"
    odd.write_bytes(b"not of that form: \0SOME_NAME\0")
    empty.write_bytes(b"")

    assert names_in([str(odd), str(empty), str(tmp_path / "gone.so")], ["SOME_NAME", "SOME"]) == {
        "SOME_NAME"
    }
