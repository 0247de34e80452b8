"""`ovseg segment --all-frames`: animations and TIFFs of several pages (bad input 11)."""

import numpy as np
import pytest
from PIL import Image

from ovseg.segmenter import Segmenter


@pytest.fixture
def film():
    """Write a file of several random frames; the format follows from the name."""

    def write(path, count=3, size=(40, 24), **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(7).integers(0, 255, (count, size[1], size[0], 3), np.uint8)
        first, *others = (Image.fromarray(frame) for frame in pixels)
        first.save(path, save_all=True, append_images=others, **options)
        return path

    return write


@pytest.fixture
def segmented(monkeypatch):
    """How many images were segmented: one entry each."""
    segment, seen = Segmenter.segment, []

    def wrapped(self, image, *args, **kwargs):
        seen.append(image)
        return segment(self, image, *args, **kwargs)

    monkeypatch.setattr(Segmenter, "segment", wrapped)
    return seen


def spoil_last_frame(path):
    """Overwrite the pixels of a TIFF's last page, which stand behind its directory."""
    with Image.open(path) as image:
        image.seek(image.n_frames - 1)
        (start,), (size,) = image.tag_v2[273], image.tag_v2[279]
    data = bytearray(path.read_bytes())
    data[start : start + size] = b"\xff" * size
    path.write_bytes(data)


def names(records):
    return [line["name"] for line in records]


def label_maps(tmp_path):
    out = tmp_path / "out"
    return sorted(str(p.relative_to(out)) for p in out.rglob("*.label.png"))


@pytest.mark.parametrize("name", ["waves.gif", "waves.tif"])
def test_without_the_flag_the_first_frame_and_a_note(segment, film, tmp_path, lines, name):
    assert segment(film(tmp_path / name))[0] == 0
    (line,) = lines("results.jsonl")
    assert line["name"] == "waves"
    assert (line["notes"]["frame"], line["notes"]["frames"]) == (0, 3)
    assert label_maps(tmp_path) == ["waves.label.png"]


@pytest.mark.parametrize("name", ["waves.gif", "waves.tif"])
def test_every_frame_has_results_and_a_line(segment, film, tmp_path, lines, name):
    status, out, _ = segment(film(tmp_path / name), "--all-frames")
    assert (status, out) == (0, "1 done; results in out\n")
    records = lines("results.jsonl")
    assert names(records) == [f"waves.frame000{i}" for i in range(3)]
    assert [line["notes"]["frame"] for line in records] == [0, 1, 2]
    assert label_maps(tmp_path) == [f"waves.frame000{i}.label.png" for i in range(3)]
    with Image.open(tmp_path / "out" / "waves.frame0002.label.png") as labels:
        assert labels.size == (40, 24)


def test_deep_pages_are_frames_too(segment, tmp_path, lines):
    pages = [Image.fromarray(np.full((8, 8), value, np.uint16)) for value in (0, 60000)]
    pages[0].save(tmp_path / "deep.tif", save_all=True, append_images=pages[1:])
    assert segment(tmp_path / "deep.tif", "--all-frames")[0] == 0
    assert names(lines("results.jsonl")) == ["deep.frame0000", "deep.frame0001"]


def test_frames_give_what_single_images_give(segment, film, tmp_path):
    path = film(tmp_path / "waves.tif")
    with Image.open(path) as image:
        image.seek(1)
        image.save(tmp_path / "alone.png")
    assert segment(path, "--all-frames")[0] == 0
    assert segment(tmp_path / "alone.png", "--all-frames")[0] == 0
    frame = (tmp_path / "out" / "waves.frame0001.label.png").read_bytes()
    assert frame == (tmp_path / "out" / "alone.label.png").read_bytes()


def test_stills_keep_their_names(segment, film, photos, lines):
    film(photos / "waves.gif", count=2)
    status, out, _ = segment(photos, "--all-frames")
    assert (status, out) == (0, "4 done; results in out\n")
    expected = ["a", "b", "deep/c", "waves.frame0000", "waves.frame0001"]
    assert sorted(names(lines("results.jsonl"))) == expected


def test_a_still_that_is_called_like_a_frame(segment, film, image, tmp_path, lines):
    film(tmp_path / "in" / "waves.gif", count=2)
    image(tmp_path / "in" / "waves.frame0001.png")
    for expected in ("2 done;", "0 done, 2 done before;"):
        status, out, _ = segment(tmp_path / "in", "--all-frames")
        assert (status, out) == (0, f"{expected} results in out\n")
    expected = ["waves.frame0000", "waves.frame0001", "waves.frame0001.png"]
    assert sorted(names(lines("results.jsonl"))) == expected


def test_resuming_does_only_what_is_missing(segment, film, tmp_path, segmented):
    path = film(tmp_path / "waves.gif")
    for change, expected in (
        (lambda: None, (3, "1 done;")),
        (lambda: None, (3, "0 done, 1 done before;")),
        ((tmp_path / "out" / "waves.frame0001.label.png").unlink, (4, "1 done;")),
        (lambda: film(path, count=2), (6, "1 done;")),
    ):
        change()
        status, out, _ = segment(path, "--all-frames")
        assert (status, len(segmented), out) == (0, expected[0], f"{expected[1]} results in out\n")


def test_a_broken_later_frame_is_an_error_of_its_file_only(segment, film, photos, lines, segmented):
    path = film(photos / "waves.tif", compression="tiff_lzw")  # in which broken bytes show
    spoil_last_frame(path)
    status, out, err = segment(photos, "--all-frames")
    assert status == 3
    assert "3 done, 1 failed" in out
    (error,) = lines("errors.jsonl")
    assert (error["name"], error["file"], error["error"]) == ("waves", str(path), "InputError")
    assert "waves.tif (frame 2): " in error["message"]
    assert "(frame 2)" in err
    assert len(lines("results.jsonl")) == 5
    assert segment(photos, "--all-frames")[0] == 3
    assert len(segmented) == 5  # the frames before the broken one are not done again
    status, _, err = segment(path, "--all-frames", "--overwrite")
    assert (status, "(frame 2)" in err) == (1, True)


def test_the_flag_is_a_setting_of_the_folder(segment, film, tmp_path):
    path = film(tmp_path / "waves.gif")
    assert segment(path)[0] == 0
    status, _, err = segment(path, "--all-frames")
    assert status == 2
    assert "all_frames: false -> true" in err
