"""What `ovseg segment` writes, and what it does about every kind of bad request."""

import io
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovseg.prompts.vocabulary import Vocabulary


def pixels(path):
    return np.asarray(Image.open(path))


def test_writes_label_maps_images_and_the_story_of_the_run(segment, photos, tmp_path, lines):
    status, out, err = segment(photos)
    assert status == 0
    assert out == "3 done; results in out\n"
    assert err == "maskclip-tiny on cpu (fp32): 3 classes, 3 images -> out\n"
    folder = tmp_path / "out"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        *(f"{n}.{kind}.png" for n in ("a", "b") for kind in ("label", "overlay", "palette")),
        "classes.json",
        *(f"deep/c.{kind}.png" for kind in ("label", "overlay", "palette")),
        "results.jsonl",
        "run.json",
    ]
    assert pixels(folder / "a.label.png").shape == (32, 48)
    assert pixels(folder / "a.label.png").dtype == np.uint8
    assert np.array_equal(pixels(folder / "a.label.png"), pixels(folder / "a.palette.png"))
    classes = json.loads((folder / "classes.json").read_text())
    assert [c["label"] for c in classes] == ["sky", "grass", "red car"]
    assert classes[1]["prompts"] == ["grass", "lawn"]
    run = json.loads((folder / "run.json").read_text())
    assert run["vocabulary"]["sha256"] == Vocabulary.parse("sky, grass; lawn, red car").sha256
    assert run["versions"]["torch"]
    assert run["device"] == "cpu"
    a, _, c = lines("results.jsonl")
    assert (a["file"], a["name"], a["width"], a["height"]) == (
        str(photos / "a.jpg"),
        "a",
        48,
        32,
    )
    assert c["name"] == "deep/c"
    assert sum(a["classes"].values()) == pytest.approx(1, abs=1e-4)


def test_formats(segment, photos, tmp_path, lines):
    assert segment(photos / "a.jpg", "--format", "coco,label")[0] == 0
    assert sorted(p.name for p in (tmp_path / "out").glob("a.*")) == ["a.label.png"]
    (line,) = lines("results.jsonl")
    assert sum(s["area"] for s in line["segments"]) == 48 * 32
    assert {s["category_name"] for s in line["segments"]} == set(line["classes"])


def test_more_than_255_classes_give_16_bits(segment, photos, tmp_path):
    names = "\n".join(f"thing {i}" for i in range(300))
    (tmp_path / "many.txt").write_text(names)
    assert segment(photos / "a.jpg", classes="many.txt")[0] == 0
    assert pixels(tmp_path / "out" / "a.label.png").dtype in (np.uint16, np.int32)
    assert not (tmp_path / "out" / "a.palette.png").exists()


def test_a_built_in_list_and_a_palette(segment, photos, tmp_path):
    assert segment(photos / "b.png", classes="scenes")[0] == 0
    assert len(json.loads((tmp_path / "out" / "classes.json").read_text())) == 40
    colors = "#ff0000,#00ff00,#0000ff"
    assert segment(photos / "b.png", "--palette", colors, "--overwrite")[0] == 0
    assert Image.open(tmp_path / "out" / "b.palette.png").getpalette()[:9] == [
        255, 0, 0, 0, 255, 0, 0, 0, 255
    ]  # fmt: skip


def test_a_list_on_stdin(segment, photos, monkeypatch, lines):
    paths = f"{photos / 'a.jpg'}\n\n{photos / 'deep' / 'c.png'}\r\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(paths))
    assert segment("-")[0] == 0
    assert [line["name"] for line in lines("results.jsonl")] == ["a", "deep/c"]


def test_a_glob(segment, photos, lines):
    assert segment(photos / "*.png")[0] == 0
    assert [line["name"] for line in lines("results.jsonl")] == ["b"]


def test_refine_and_threshold(segment, photos, tmp_path):
    status, _, err = segment(photos / "a.jpg", "--refine", "pamr", "--threshold", "0.4")
    assert (status, err.count("warning")) == (0, 0)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["settings"]["spec"]["test_cfg"]["threshold"] == 0.4
    assert run["settings"]["spec"]["refiner"]["type"] == "PamrRefiner"
    labels = [c["label"] for c in json.loads((tmp_path / "out" / "classes.json").read_text())]
    assert labels == ["background", "sky", "grass", "red car"]


def test_sam_refines_with_the_bundled_weights(segment, photos, tmp_path):
    assert segment(photos / "a.jpg", "--refine", "sam")[0] == 0
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["settings"]["spec"]["refiner"]["model"] == "asset:sam_tiny.json"


def test_background_names(segment, photos, tmp_path):
    assert segment(photos / "a.jpg", "--background", "wall; floor")[0] == 0
    background = json.loads((tmp_path / "out" / "classes.json").read_text())[0]
    assert background["label"] == "background"
    assert background["prompts"] == ["wall", "floor"]


# Rows of the list of bad inputs: the image.


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("row", "name", "spoil", "kind", "words"),
    [
        (2, "bad.jpg", lambda p: p.write_bytes(b""), "InputError", "empty"),
        (3, "bad.jpg", lambda p: p.write_text("no image"), "InputError", "not an image"),
        (4, "bad.png", cut, "InputError", "truncated|cut"),
        (23, "bad.jpg", lambda p: (p.unlink(), p.symlink_to("bad.jpg")), "InputError", "bad.jpg"),
    ],
)
def test_a_bad_image_in_a_folder_is_recorded_and_the_rest_is_done(
    segment, photos, image, lines, row, name, spoil, kind, words
):
    spoil(image(photos / name))
    status, out, err = segment(photos)
    assert status == 3
    assert "3 done, 1 failed" in out
    assert "failed: " in err
    (line,) = lines("errors.jsonl")
    assert line["file"] == str(photos / name)
    assert line["error"] == kind
    assert re.search(words, line["message"])
    assert "Traceback" not in err


def test_a_loop_of_folders_is_noted_once(segment, photos, lines):
    (photos / "deep" / "again").symlink_to(photos)
    status, out, _ = segment(photos)
    assert status == 0
    assert out == "3 done (left out: 1 folders (see errors.jsonl)); results in out\n"
    (line,) = lines("errors.jsonl")
    assert line["file"] == str(photos / "deep" / "again")


def test_a_single_bad_image_is_an_error(segment, tmp_path):
    (tmp_path / "empty.jpg").touch()
    status, _, err = segment(tmp_path / "empty.jpg")
    assert status == 1
    assert "ovseg: error:" in err
    assert "empty.jpg" in err
    assert "Traceback" not in err


def test_a_missing_image(segment, tmp_path):
    status, _, err = segment(tmp_path / "nothing.jpg")
    assert status == 1
    assert "nothing.jpg" in err


def test_reading_options(segment, image, tmp_path, lines):
    turned = tmp_path / "in" / "turned.jpg"
    image(turned)
    pil_image = Image.open(turned)
    exif = pil_image.getexif()
    exif[0x0112] = 6
    pil_image.save(turned, exif=exif)
    cut(image(tmp_path / "in" / "cut.png", size=(200, 100)))
    assert segment(tmp_path / "in", "--allow-truncated", "--ignore-exif")[0] == 0
    truncated, raw = lines("results.jsonl")
    assert truncated["notes"]["truncated"] is True
    assert (raw["width"], raw["height"]) == (48, 32)
    status, _, _ = segment(tmp_path / "in", "--overwrite", "--max-pixels", "2000")
    assert status == 3
    assert [line["error"] for line in lines("errors.jsonl")] == ["RuntimeLimitError"]
    (upright,) = lines("results.jsonl")
    assert (upright["width"], upright["height"]) == (32, 48)


def test_value_range(segment, tmp_path, lines):
    Image.fromarray(np.full((8, 8), 4095, np.uint16)).save(tmp_path / "deep.png")
    assert segment(tmp_path / "deep.png", "--value-range", "0:4095")[0] == 0
    assert "4095" in str(lines("results.jsonl")[0]["notes"])


def test_images_of_the_same_stem_keep_their_extension(segment, image, tmp_path, lines):
    for name in ("a.jpg", "a.png", "x/a.jpg"):
        image(tmp_path / "in" / name)
    assert segment(tmp_path / "in")[0] == 0
    assert sorted(line["name"] for line in lines("results.jsonl")) == ["a.jpg", "a.png", "x/a"]


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("source", ["empty", "empty/*.jpg"])
def test_nothing_to_do(segment, tmp_path, source):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    status, _, err = segment(tmp_path / source)
    assert status == 2
    assert "no images found" in err


def test_what_is_no_image_is_counted(segment, photos):
    (photos / "notes.txt").touch()
    (photos / "._a.jpg").touch()
    status, out, _ = segment(photos)
    assert status == 0
    assert "1 hidden" in out
    assert "1 other files" in out


@pytest.mark.parametrize("name", ["100%s %(x)d.png", "{0} {x}.png", "-rf.png", "naïve ☃.png"])
def test_hostile_file_names(segment, image, tmp_path, monkeypatch, lines, name):
    image(tmp_path / "in" / name)
    assert segment(tmp_path / "in")[0] == 0
    assert (tmp_path / "out" / name.replace(".png", ".label.png")).is_file()
    (tmp_path / "in" / name).write_bytes(b"")
    status, _, err = segment(tmp_path / "in")
    assert status == 3
    assert name in err
    assert lines("errors.jsonl")[0]["file"].endswith(name)


# The words.


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("row", "classes", "words"),
    [
        (29, "", "class"),
        (30, "sky, , grass", "empty|blank"),
        (30, "sky, gr\0ass", r"class 2: control character U\+0000"),
        (31, "sky, Sky", "class 1 and class 2"),
        (39, "latin.txt", "byte"),
        (40, "gap.txt", "line 2"),
        (49, "ade20.txt", "ade20"),
    ],
)
def test_words_that_cannot_be_used(segment, photos, tmp_path, row, classes, words):
    (tmp_path / "latin.txt").write_bytes("gr\xfcn".encode("latin-1"))
    (tmp_path / "gap.txt").write_text("dog\ncat;;feline\n")
    status, _, err = segment(photos, classes=classes)
    assert status == 2
    assert re.search(words, err)
    assert not (tmp_path / "out").exists()


def test_duplicates_can_be_merged(segment, photos, tmp_path):
    assert segment(photos / "a.jpg", "--merge-duplicates", classes="sky, grass, Sky")[0] == 0
    assert len(json.loads((tmp_path / "out" / "classes.json").read_text())) == 2


def test_one_class_is_warned_about(segment, photos):
    status, _, err = segment(photos / "a.jpg", classes="sky")
    assert status == 0
    assert "ovseg: warning:" in err
    assert "--background auto" in err


def test_a_name_that_is_too_long(segment, photos):
    long = "sky, " + " ".join(f"word{i}" for i in range(100))
    status, _, err = segment(photos / "a.jpg", classes=long)
    assert status == 0
    assert "ovseg: warning:" in err
    assert segment(photos / "a.jpg", "--strict", "--overwrite", classes=long)[0] == 2


def test_control_tokens_are_plain_text(segment, photos):
    status, _, err = segment(photos / "a.jpg", classes="sky, <end_of_text> grass")
    assert status == 0
    assert "warning" in err


def test_a_file_with_bom_crlf_and_blanks(segment, photos, tmp_path, lines):
    (tmp_path / "clean.txt").write_text("sky\ngrass; lawn\n")
    (tmp_path / "messy.txt").write_bytes(b"\xef\xbb\xbfsky \t\r\ngrass; lawn\r\n")
    assert segment(photos / "a.jpg", classes="clean.txt")[0] == 0
    status, out, _ = segment(photos / "a.jpg", classes="messy.txt")
    assert status == 0
    assert "1 done before" in out


# Options and configurations.


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("listed", [False, True])
def test_addresses_have_to_be_downloaded_first(segment, photos, tmp_path, monkeypatch, listed):
    address = "https://example.org/a.png"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{address}\n"))
    status, _, err = segment(photos, "-" if listed else address)
    assert status == 2
    assert f"{address}: is an address" in err
    assert f"curl -O {address}" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("row", "options", "words"),
    [
        (42, ["--palette", "#ff0000"], "1 colors for 3 classes"),
        (42, ["--palette", "#ff00zz,#fff,#000"], "ff00zz"),
        (43, ["--threshold", "1.5"], "threshold"),
        (43, ["--threshold", "nan"], "threshold"),
        (43, ["--threshold", "much"], "threshold"),
        (50, ["--refine", "crf"], "invalid choice"),
        (74, ["--device", "cuda:7"], "cpu"),
        (74, ["--device", "gpu"], "auto, cpu, cuda"),
        (0, ["--precision", "int8"], "bf16"),
        (0, ["--format", "label,svg"], "'svg'.*overlay"),
        (0, ["--format", ","], "no format"),
        (0, ["--value-range", "0-9"], "value-range"),
        (0, ["--value-range", "9:0"], "value_range"),
        (0, ["--bands", "a"], "--bands"),
        (0, ["--max-pixels", "0"], "max_pixels"),
        (0, ["--resume", "--overwrite"], "not allowed with"),
        (0, ["--ovrewrite"], "did you mean --overwrite"),
        (0, ["--over"], "unrecognized"),
    ],
)
def test_options_that_cannot_be_used(segment, photos, tmp_path, monkeypatch, row, options, words):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    status, _, err = segment(photos, *options)
    assert status == 2
    assert re.search(words, err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["source", "classes"])
def test_what_must_be_given(segment, photos, missing):
    status, _, err = segment() if missing == "source" else segment(photos, classes=None)
    assert status == 2
    assert "required" in err


@pytest.mark.parametrize(
    ("row", "change", "words"),
    [
        (44, {"test_cfg": {"short_sid": 224}}, "short_side"),
        (44, {"decode_hed": {}}, "decode_head"),
        (45, {"test_cfg": {"mode": "slide", "crop_size": 0, "stride": 8}}, "crop"),
        (45, {"test_cfg": {"mode": "slide", "crop_size": 64, "stride": 96}}, "stride"),
        (45, {"test_cfg": {"mode": "slide", "window_batch": -1}}, "window_batch"),
        (49, {"decode_head": {"type": "MaskClipHed"}}, "MaskClipHead"),
        (41, {"templates": ["a photo"]}, "{}"),
    ],
)
def test_configurations_that_cannot_be_used(segment, photos, tmp_path, row, change, words):
    from ovseg.zoo import model_entry

    spec = model_entry("maskclip-tiny").fresh_spec()
    (tmp_path / "model.json").write_text(json.dumps({**spec, **change}))
    status, _, err = segment(photos, "--config", "model.json", model=None)
    assert status == 2
    assert words in err


@pytest.mark.usefixtures("no_model")
def test_a_python_configuration_is_run_only_when_trusted(segment, photos, tmp_path):
    (tmp_path / "model.py").write_text("open('ran', 'w').close()\nmodel = dict(type='X')\n")
    status, _, err = segment(photos, "--config", "model.py", model=None)
    assert status == 2
    assert "--trust-python-config" in err
    assert not (tmp_path / "ran").exists()


def test_a_python_configuration_of_the_package(segment, photos):
    path = Path(__file__).parents[2] / "configs" / "maskclip" / "maskclip_tiny_scenes.py"
    assert segment(photos / "a.jpg", "--config", path, model=None)[0] == 0


def test_a_trusted_python_configuration(segment, photos, tmp_path):
    from ovseg.zoo import model_entry

    spec = model_entry("maskclip-tiny").fresh_spec()
    (tmp_path / "model.py").write_text(f"model = {spec!r}\n")
    words = ["--config", "model.py", "--trust-python-config"]
    assert segment(photos / "a.jpg", *words, model=None)[0] == 0


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("maskclip-vitb16", "maskclip-vit-b16"),
        ("../../etc/passwd", "unknown kind|no such"),
        ("nothing.json", "no such configuration file"),
    ],
)
def test_unknown_models(segment, photos, model, words):
    status, _, err = segment(photos, model=model)
    assert status == 2
    assert re.search(words, err)


def test_an_option_wins_over_the_environment(segment, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("OVSEG_DEVICE", "nonsense")
    assert segment(photos / "a.jpg")[0] == 2
    monkeypatch.setenv("OVSEG_PRECISION", "fp16")
    status, _, err = segment(photos / "a.jpg", "--device", "cpu", "--precision", "fp32")
    assert status == 0
    assert "on cpu (fp32)" in err
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["device"], run["precision"]) == ("cpu", "fp32")


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"<html>"]
)
def test_a_checkpoint_that_is_none(segment, photos, tmp_path, content):
    (tmp_path / "weights.safetensors").write_bytes(content)
    status, _, err = segment(photos, "--checkpoint", "weights.safetensors")
    assert status == 1
    assert "weights.safetensors" in err


def test_weights_that_are_not_there(segment, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("socket.socket.connect", None)
    status, _, err = segment(photos, model=None)
    assert status == 1
    for source in ("/ViT-B-16.pt", "timm/vit_base_patch16_224.dino", "/sam_vit_b_01ec64.pth"):
        assert source in err
    assert "--checkpoint" in err
    assert "-m maskclip-tiny" in err


def test_debug_shows_the_traceback_and_nothing_else_does(segment, photos, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("ovseg.segmenter.resolve", fail)
    status, _, err = segment(photos)
    assert (status, "Traceback" in err) == (1, False)
    assert "--debug" in err
    assert "Traceback" in segment(photos, "--debug")[2]


def test_warnings_of_libraries_are_sentences(segment, photos, monkeypatch):
    def warn(*_, **__):
        warnings.warn("some advice", stacklevel=1)
        raise KeyboardInterrupt

    monkeypatch.setattr("ovseg.segmenter.resolve", warn)
    said = "ovseg: warning: some advice\novseg: interrupted\n"
    assert segment(photos) == (130, "", said)
