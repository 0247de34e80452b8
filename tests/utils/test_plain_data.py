import pytest

from ovseg.errors import ConfigError
from ovseg.utils.plain_data import build, check_keys, resolve_type, to_config


class Part:
    def __init__(self, size, shape="round"):
        self.size, self.shape = size + 0, shape


TABLE = {"Part": Part}


def test_a_part_is_built_and_described():
    data = {"type": "Part", "size": 3}
    part = build(data, TABLE, "part")
    assert to_config(part, TABLE) == {**data, "shape": "round"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "names no type"),
        ({"size": 3}, "names no type"),
        ({"type": "Prat", "size": 3}, "did you mean 'Part'"),
        ({"type": "Part", "sise": 3}, "did you mean 'size'"),
        ({"type": "Part"}, "size"),
        ({"type": "Part", "size": "three"}, "wrong kind of value"),
    ],
)
def test_what_cannot_be_built(data, message):
    with pytest.raises(ConfigError, match=message):
        build(data, TABLE, "part")


def test_arguments_are_checked_without_building():
    make, arguments = resolve_type({"type": "Part", "size": "three"}, TABLE, "part")
    assert make is Part
    assert arguments == {"size": "three"}


def test_no_mapping():
    with pytest.raises(ConfigError, match="no mapping"):
        check_keys([1], ["a"], "here")
