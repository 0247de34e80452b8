import json
from pathlib import Path

import pytest

from ovseg.errors import ConfigError
from ovseg.zoo.config_files import comes_with_package, read_model_spec

SPEC = {"type": "OpenVocabSegmentor", "backbone": {"type": "ClipBackbone"}}
YAML = "type: OpenVocabSegmentor\nbackbone:\n  type: ClipBackbone\n"


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps(SPEC)),
        ("a.json", json.dumps({"model": SPEC, "data": 1})),
        ("a.json", "\ufeff" + json.dumps(SPEC)),
        ("a.yaml", YAML),
        ("a.yml", YAML.replace("\n", "\r\n")),
        ("a.py", f"model = {SPEC!r}\nmodel['data_preprocessor'] = dict(type='X')\n"),
    ],
)
def test_reads_the_model_part(tmp_path, name, text):
    assert read_model_spec(write(tmp_path, name, text)) == SPEC


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "type: !!python/object/apply:os.system [x]", "tags are not read"),
        ("a.yaml", "a: &x 1\nb: *x", "anchors and aliases"),
        ("a.yaml", "type: a\ntype: b", "'type' stands there twice"),
        ("a.yaml", "type: [1", "not readable"),
        ("a.yaml", "? [1, 2]\n: 3", "is no text"),
        ("a.json", '{"type": 1, "type": 2}', "'type' stands there twice"),
        ("a.json", "{", "not readable"),
        ("a.json", "[" * 100_000, "not readable"),
        ("a.json", "[1]", "no model part"),
        ("a.json", '{"model": {"backbone": 1}}', "no model part"),
        ("a.json", " " * (1 << 20) + "{}", "too many for a configuration"),
        ("a.txt", "x", "unknown kind of configuration"),
    ],
)
def test_refuses_what_is_no_plain_configuration(tmp_path, name, text, words):
    with pytest.raises(ConfigError, match=words):
        read_model_spec(write(tmp_path, name, text))


def test_names_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.json: no such configuration file"):
        read_model_spec(tmp_path / "nothing.json")


def test_knows_its_own_configurations(tmp_path):
    root = Path(__file__).parents[2]
    assert comes_with_package(root / "configs" / "maskclip" / "any.py")
    assert not comes_with_package(root / "configs" / ".." / "setup.py")
    assert not comes_with_package(tmp_path / "configs" / "any.py")
