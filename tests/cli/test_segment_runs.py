"""How `ovseg segment` resumes, shares a folder, is interrupted and meets a full disk."""

import errno
import os
import signal

import pytest

from ovseg.cli import main
from ovseg.segmenter import Segmenter
from ovseg.utils.files import TEMP_PREFIX


@pytest.fixture
def at_image(monkeypatch):
    """Do something when the n-th image of the test is about to be segmented."""

    def arrange(number, action):
        segment, seen = Segmenter.segment, []

        def wrapped(self, image, *args, **kwargs):
            seen.append(image)
            if len(seen) == number:
                action()
            return segment(self, image, *args, **kwargs)

        monkeypatch.setattr(Segmenter, "segment", wrapped)
        return seen

    return arrange


def names(records):
    return sorted(line["name"] for line in records)


def test_a_second_run_does_nothing_again(segment, photos, at_image, lines):
    assert segment(photos)[0] == 0
    seen = at_image(0, None)
    status, out, _ = segment(photos, "--resume")
    assert (status, seen) == (0, [])
    assert out == "0 done, 3 done before; results in out\n"
    assert names(lines("results.jsonl")) == ["a", "b", "deep/c"]


def test_a_changed_image_is_done_again(segment, photos, image, at_image, lines):
    assert segment(photos)[0] == 0
    image(photos / "a.jpg", size=(20, 10))
    seen = at_image(0, None)
    assert segment(photos)[0] == 0
    assert seen == [str(photos / "a.jpg")]
    assert [line["width"] for line in lines("results.jsonl") if line["name"] == "a"] == [20]


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": "sky, grass"}, "vocabulary"),
        ({"options": ["--threshold", "0.3"]}, "spec.test_cfg.threshold"),
        ({"options": ["--ignore-exif"]}, "reading.ignore_exif: false -> true"),
        ({"options": ["--format", "label"]}, "formats"),
        ({"options": ["--refine", "pamr"]}, "spec.refiner"),
    ],
)
def test_other_settings_are_refused_with_the_difference(segment, photos, change, words):
    assert segment(photos / "a.jpg")[0] == 0
    status, _, err = segment(
        photos / "a.jpg",
        *change.get("options", []),
        **{k: v for k, v in change.items() if k == "classes"},
    )
    assert status == 2
    assert words in err
    assert "--overwrite" in err


def test_overwriting_does_everything_again(segment, photos, at_image, tmp_path, lines):
    assert segment(photos)[0] == 0
    seen = at_image(0, None)
    assert segment(photos, "--overwrite", "--format", "label")[0] == 0
    assert len(seen) == 3
    assert len(lines("results.jsonl")) == 3


def test_a_failure_is_tried_again(segment, photos, image, lines):
    (photos / "bad.jpg").touch()
    assert segment(photos)[0] == 3
    assert names(lines("errors.jsonl")) == ["bad"]
    image(photos / "bad.jpg")
    status, out, _ = segment(photos)
    assert status == 0
    assert out.startswith("1 done, 3 done before")
    assert lines("errors.jsonl") == []


def test_strict_stops_at_the_first_failure(segment, photos, lines):
    (photos / "aa.jpg").touch()
    status, out, err = segment(photos, "--strict")
    assert status == 1
    assert "aa.jpg" in err
    assert "1 done, 1 failed" in out
    assert names(lines("results.jsonl")) == ["a"]


@pytest.fixture
def _interruptible():
    """Let SIGINT interrupt, which a shell switches off for what it starts in the background."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize(("signal_number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_is_done_and_resumes(
    segment, photos, at_image, lines, tmp_path, signal_number, status
):
    seen = at_image(2, lambda: os.kill(os.getpid(), signal_number))
    found, out, err = segment(photos)
    assert found == status
    assert out == "1 done; results in out\n"
    assert "Traceback" not in err
    assert names(lines("results.jsonl")) == ["a"]
    assert not (tmp_path / "out" / ".claims").exists()
    status, out, _ = segment(photos)
    assert out.startswith("2 done, 1 done before")
    assert len(seen) == 4


def test_two_runs_on_one_folder_share_the_work(segment, photos, at_image, lines, capfd):
    other = []
    argv = [
        "segment",
        str(photos),
        "-c",
        "sky, grass; lawn, red car",
        "-m",
        "maskclip-tiny",
        "-o",
        "out",
    ]
    seen = at_image(1, lambda: other.append(main(argv)))
    status, out, _ = segment(photos)
    assert (status, other) == (0, [0])
    assert "2 done, 1 left to another process; results in out" in out
    assert "1 done, 2 done before; results in out" in out
    assert len(seen) == 3
    assert names(lines("results.jsonl")) == ["a", "b", "deep/c"]


def test_an_image_that_vanishes(segment, photos, at_image, lines):
    at_image(1, (photos / "b.png").unlink)
    assert segment(photos)[0] == 3
    assert names(lines("results.jsonl")) == ["a", "deep/c"]
    assert names(lines("errors.jsonl")) == ["b"]


def test_an_unexpected_error_concerns_one_image_only(segment, photos, at_image, lines):
    def fail():
        raise ZeroDivisionError("a fault")

    at_image(2, fail)
    status, out, err = segment(photos)
    assert status == 3
    assert "2 done, 1 failed" in out
    assert "ZeroDivisionError: a fault" in err
    assert lines("errors.jsonl")[0]["error"] == "ZeroDivisionError"


def test_a_full_disk(segment, photos, monkeypatch, tmp_path, lines):
    replace = os.replace

    def fill(source, target):
        if str(target).endswith("b.overlay.png"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return replace(source, target)

    monkeypatch.setattr("os.replace", fill)
    status, out, err = segment(photos)
    assert status == 1
    assert "disk is full" in err
    assert out == "1 done; results in out\n"
    assert names(lines("results.jsonl")) == ["a"]
    assert not list((tmp_path / "out").rglob(f"{TEMP_PREFIX}*"))
    monkeypatch.setattr("os.replace", replace)
    assert segment(photos)[1].startswith("2 done, 1 done before")


@pytest.mark.usefixtures("no_model")
def test_a_place_that_cannot_be_written_shows_before_the_model_is_loaded(segment, photos, tmp_path):
    (tmp_path / "out").touch()
    status, _, err = segment(photos)
    assert status == 1
    assert "out: cannot write results here" in err


def test_a_half_written_file_is_done_again(segment, photos, tmp_path, at_image):
    assert segment(photos)[0] == 0
    whole = (tmp_path / "out" / "b.label.png").read_bytes()
    (tmp_path / "out" / "b.label.png").write_bytes(whole[:-5])
    half = tmp_path / "out" / f"{TEMP_PREFIX}x.tmp"
    half.touch()
    seen = at_image(0, None)
    assert segment(photos)[0] == 0
    assert seen == [str(photos / "b.png")]
    assert (tmp_path / "out" / "b.label.png").read_bytes() == whole
    assert not half.exists()


def test_results_inside_the_input_folder_are_left_out(segment, photos, monkeypatch, lines):
    monkeypatch.chdir(photos)
    argv = ["segment", ".", "-c", "sky, grass", "-m", "maskclip-tiny", "-o", "out"]
    assert main(argv) == 0
    assert main(argv) == 0
    labels = sorted(p.name for p in (photos / "out").rglob("*.label.png"))
    assert labels == ["a.label.png", "b.label.png", "c.label.png"]


def test_another_model_is_named_first(segment, photos, tmp_path, capfd):
    assert segment(photos / "a.jpg")[0] == 0
    status, _, err = segment(photos / "a.jpg", model="maskclip-vit-b16")
    assert status == 2
    assert 'other settings: model: "maskclip-tiny" -> "maskclip-vit-b16"; spec.' in err
    assert " more; to fix:" in err
