from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nbci.params.yaml_scalars import core_scalar


@given(st.floats() | st.integers() | st.booleans() | st.none())
def test_scalars_written_by_yaml_are_read_back(value: Any) -> None:
    import yaml

    written = yaml.safe_dump(value).removesuffix("...\n").strip()
    assert repr(core_scalar(written)) == repr(value)
