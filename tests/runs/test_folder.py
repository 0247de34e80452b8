import json
import os
import subprocess
import sys

import pytest

from ovseg.errors import ConfigError, InputError
from ovseg.runs.folder import RunFolder, differences
from ovseg.utils.files import TEMP_PREFIX

SETTINGS = {"model": "maskclip-tiny", "threshold": 0.0}
PROTOCOL = {"short_side": 224, "weights": "abc"}
CLASSES = [{"id": 0, "label": "sky"}]


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"image")
    return path


def open_folder(root, settings=SETTINGS, protocol=PROTOCOL, **options):
    folder = RunFolder(root, settings, **options)
    folder.begin(protocol, CLASSES, {"versions": {"ovseg": "0"}})
    return folder


def finish(folder, image, name="a"):
    output = folder.root / f"{name}.label.png"
    output.write_bytes(b"label")
    folder.record(name, image, [output], {"seconds": 0.1})


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_writes_what_made_the_results(tmp_path):
    with open_folder(tmp_path / "out") as folder:
        run = json.loads((folder.root / "run.json").read_text())
        assert run == {"settings": SETTINGS, "protocol": PROTOCOL, "versions": {"ovseg": "0"}}
        assert json.loads((folder.root / "classes.json").read_text()) == CLASSES


def test_a_recorded_image_is_done_also_for_the_next_run(tmp_path, image):
    with open_folder(tmp_path / "out") as folder:
        assert not folder.is_done("a", image)
        finish(folder, image)
        assert folder.is_done("a", image)
    with open_folder(tmp_path / "out") as folder:
        assert folder.is_done("a", image)
        (line,) = lines(folder.root / "results.jsonl")
        assert line["file"] == str(image)
        assert line["seconds"] == 0.1


@pytest.mark.parametrize("change", ["image touched", "image changed", "output cut", "output gone"])
def test_a_changed_image_or_output_is_done_again(tmp_path, image, change):
    with open_folder(tmp_path / "out") as folder:
        finish(folder, image)
        output = folder.root / "a.label.png"
        {
            "image touched": lambda: os.utime(image, (1, 1)),
            "image changed": lambda: image.write_bytes(b"another image"),
            "output cut": lambda: output.write_bytes(b"la"),
            "output gone": output.unlink,
        }[change]()
        assert not folder.is_done("a", image)


def test_other_settings_are_refused_with_the_difference(tmp_path):
    open_folder(tmp_path / "out").close()
    with pytest.raises(ConfigError, match=r"threshold: 0\.0 -> 0\.5.*--overwrite"):
        RunFolder(tmp_path / "out", {**SETTINGS, "threshold": 0.5})


def test_another_protocol_is_refused_with_the_difference(tmp_path):
    open_folder(tmp_path / "out").close()
    with pytest.raises(ConfigError, match='weights: "abc" -> "def"'):
        open_folder(tmp_path / "out", protocol={**PROTOCOL, "weights": "def"})


def test_overwriting_starts_afresh_but_only_once_the_model_is_loaded(tmp_path, image):
    with open_folder(tmp_path / "out") as folder:
        finish(folder, image)
    changed = {**SETTINGS, "threshold": 0.5}
    with RunFolder(tmp_path / "out", changed, overwrite=True) as folder:
        assert lines(folder.root / "results.jsonl")
        folder.begin(PROTOCOL, CLASSES, {})
        assert not folder.is_done("a", image)
        assert json.loads((folder.root / "run.json").read_text())["settings"] == changed


def test_overwriting_is_refused_while_another_process_writes(tmp_path):
    with (
        open_folder(tmp_path / "out"),
        pytest.raises(ConfigError, match="another process is writing"),
    ):
        RunFolder(tmp_path / "out", SETTINGS, overwrite=True)


def test_two_runs_share_a_folder_and_split_the_images(tmp_path, image):
    with open_folder(tmp_path / "out") as one, open_folder(tmp_path / "out") as two:
        with one.claim("a") as mine, two.claim("a") as theirs, two.claim("b") as other:
            assert (mine, theirs, other) == (True, False, True)
        with two.claim("a") as mine:
            assert mine
        finish(one, image)
        assert two.is_done("a", image)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a.label.png",
        "classes.json",
        "results.jsonl",
        "run.json",
    ]


def test_a_claim_ends_when_the_work_fails(tmp_path):
    with open_folder(tmp_path / "out") as folder:
        with pytest.raises(KeyboardInterrupt), folder.claim("a"):
            raise KeyboardInterrupt
        with folder.claim("a") as mine:
            assert mine


def test_remains_of_a_crash_are_removed(tmp_path, image):
    with open_folder(tmp_path / "out") as folder:
        finish(folder, image)
    root = tmp_path / "out"
    half = root / "x" / f"{TEMP_PREFIX}abc.tmp"
    half.parent.mkdir()
    half.write_bytes(b"half")
    (root / ".claims").mkdir()
    (root / ".claims" / "left").touch()
    with (root / "results.jsonl").open("a") as stream:
        stream.write('{"name": "b", "fi')
    with open_folder(root) as folder:
        assert not half.exists()
        assert not (root / ".claims").exists()
        assert [line["name"] for line in lines(root / "results.jsonl")] == ["a"]
        assert folder.is_done("a", image)


def test_a_claim_of_a_dead_process_does_not_outlive_a_common_start(tmp_path):
    open_folder(tmp_path / "out").close()
    with RunFolder(tmp_path / "out", SETTINGS) as dead, dead.claim("a"):
        claims = {p.name: p.read_bytes() for p in (tmp_path / "out" / ".claims").iterdir()}
    (tmp_path / "out" / ".claims").mkdir()
    for name, data in claims.items():
        (tmp_path / "out" / ".claims" / name).write_bytes(data)
    with RunFolder(tmp_path / "out", SETTINGS) as one, RunFolder(tmp_path / "out", SETTINGS) as two:
        one.begin(PROTOCOL, CLASSES, {})
        two.begin(PROTOCOL, CLASSES, {})
        with one.claim("a") as mine, two.claim("a") as theirs:
            assert (mine, theirs) == (True, False)


def test_errors_are_those_of_the_latest_run(tmp_path, image):
    with open_folder(tmp_path / "out") as folder:
        folder.record_error("a", image, InputError("empty file", where=image))
        (line,) = lines(folder.root / "errors.jsonl")
        assert line["error"] == "InputError"
        assert "empty file" in line["message"]
    with open_folder(tmp_path / "out") as folder:
        assert not (folder.root / "errors.jsonl").exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        RunFolder(tmp_path / "file" / "out", SETTINGS)


def test_a_read_only_folder_is_refused(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        RunFolder(tmp_path / "out", SETTINGS)


def test_without_locks_the_folder_still_works(tmp_path, image, monkeypatch):
    def refuse(*args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with open_folder(tmp_path / "out") as folder:
        finish(folder, image)
    with open_folder(tmp_path / "out") as folder:
        assert folder.is_done("a", image)


WORKER = """
import sys, time
from pathlib import Path
from ovseg.runs.folder import RunFolder
root, images = Path(sys.argv[1]), Path(sys.argv[2])
with RunFolder(root, {}) as folder:
    folder.begin({}, [], {})
    for image in sorted(images.iterdir()):
        name = image.stem
        if folder.is_done(name, image):
            continue
        with folder.claim(name) as mine:
            if mine and not folder.is_done(name, image):
                output = root / f"{name}.label.png"
                output.write_bytes(b"label")
                time.sleep(0.002)
                folder.record(name, image, [output], {})
"""


def test_a_killed_process_is_not_in_the_folder_any_more(tmp_path):
    root = tmp_path / "out"
    code = (
        "import os, sys; from ovseg.runs.folder import RunFolder; "
        "RunFolder(sys.argv[1], {}); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(root)], check=False).returncode == 9
    assert list(root.glob(f"{TEMP_PREFIX}*.lock"))
    RunFolder(root, {}, overwrite=True).close()
    assert not list(root.iterdir())


def test_processes_in_one_folder_do_each_image_once(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for i in range(100):
        (images / f"{i}.jpg").write_bytes(b"image")
    command = [sys.executable, "-c", WORKER, str(tmp_path / "out"), str(images)]
    workers = [subprocess.Popen(command) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    done = [line["name"] for line in lines(tmp_path / "out" / "results.jsonl")]
    assert sorted(done, key=int) == [str(i) for i in range(100)]


def test_differences_name_keys_that_came_and_went():
    assert differences({"a": 1, "b": {"c": [1]}}, {"b": {"c": [2]}, "d": "x"}) == [
        "a: 1 -> null",
        "b.c: [1] -> [2]",
        'd: null -> "x"',
    ]
