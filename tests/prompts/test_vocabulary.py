"""Vocabularies (rows 29 to 40 of the table of bad inputs) and the built-in class lists."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
import warnings
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovseg.errors import PromptError
from ovseg.prompts.vocabulary import MAX_CLASSES, Vocabulary, builtins

COUNTS = {
    "ade20k": 150,
    "ade847": 847,
    "cityscapes": 19,
    "coco_object": 81,
    "coco_stuff164k": 171,
    "context459": 459,
    "context59": 59,
    "context60": 60,
    "voc20": 20,
    "voc21": 21,
}
PROMPT_COUNTS = {**COUNTS, "voc21": 46, "coco_object": 97}
WITH_BACKGROUND = ("coco_object", "context60", "voc21")

LISTS = [name for name in builtins() if not name.startswith("scenes")]


def data_set(name: str) -> str:
    return next(known for known in sorted(COUNTS, key=len) if name in (known, *suffixed(known)))


def suffixed(known: str) -> list[str]:
    return [f"{known}_{method}" for method in ("mmseg", "maskclip", "clip_dinoiser", "ovseg")]


def test_names() -> None:
    vocabulary = Vocabulary.from_names(["sky", "house; home", "thing: red car; blue car"])
    assert vocabulary.classes == ("sky", "house", "thing")
    assert vocabulary.prompts == ("sky", "house", "home", "red car", "blue car")
    assert vocabulary.prompt_class == (0, 1, 1, 2, 2)
    assert vocabulary.background is None
    assert len(vocabulary) == 3


def test_text() -> None:
    vocabulary = Vocabulary.parse("cat, dog; puppy, Background: sky; wall")
    assert vocabulary.classes == ("cat", "dog", "Background")
    assert vocabulary.prompt_class == (0, 1, 1, 2, 2)
    assert vocabulary.background == 2


def test_full_width_punctuation_divides() -> None:
    vocabulary = Vocabulary.parse("cat\uff0cdog")
    assert vocabulary.classes == ("cat", "dog")
    with pytest.warns(UserWarning, match="was cleaned to"):
        assert Vocabulary.parse("cat\uff1bpuss\uff0cdog").prompt_class == (0, 0, 1)


def test_vocabulary_and_path_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("cat\ndog; puppy\n")
    vocabulary = Vocabulary.parse(file)
    assert vocabulary == Vocabulary.parse(str(file)) == Vocabulary.parse("cat, dog; puppy")
    assert vocabulary.source == str(file)
    assert Vocabulary.parse(vocabulary) is vocabulary


@pytest.mark.parametrize(
    "dirty",
    [
        "\ufeffcat\nbuilding, edifice\npet: dog; puppy\n",
        "cat\r\nbuilding, edifice\r\npet: dog; puppy\r\n",
        "cat   \nbuilding, edifice\t\npet: dog; puppy\n\n  \n",
        "# a comment\ncat\n\n  # another\n\tbuilding,  edifice\npet:\tdog ;\tpuppy",
    ],
)
def test_dirty_file_equals_the_clean_one(tmp_path: Path, dirty: str) -> None:
    clean = "cat\nbuilding, edifice\npet: dog; puppy\n"
    file = tmp_path / "classes.txt"
    file.write_bytes(dirty.encode())
    vocabulary = Vocabulary.from_file(file)
    assert vocabulary == Vocabulary.from_names(clean.strip().split("\n"))
    if "#" not in dirty:
        assert vocabulary.sha256 == hashlib.sha256(clean.encode()).hexdigest()


@pytest.mark.parametrize("empty", ["", "  ", [], ()])
def test_empty_list(empty: object) -> None:
    with pytest.raises(PromptError, match="no class is named"):
        Vocabulary.parse(empty)


def test_empty_file(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("# nothing\n\n")
    with pytest.raises(PromptError, match=r"classes\.txt: no class is named"):
        Vocabulary.from_file(file)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat", ""], "class 2: empty class name"),
        (["cat", " ", "dog"], "class 2: empty class name"),
        (["cat", "dog", "a\0b"], "class 3: control character U"),
        (["cat;;feline"], "class 1: empty synonym"),
        (["Traffic light", "cat", "traffic  LIGHT"], "class 1 and class 3"),
        (["cat", 7], "class 2: 7 is no text"),
        ("cat", "instead of a list"),
        (5, "instead of a list"),
    ],
)
def test_unusable_names(names: object, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        Vocabulary.from_names(names)


def test_positions_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("# animals\ncat\n\ndog\nCAT\n")
    with pytest.raises(PromptError, match=r"classes\.txt, line 2 and .*classes\.txt, line 5"):
        Vocabulary.from_file(file)
    file.write_text("# animals\ncat\n\ndog;;puppy\n")
    with pytest.raises(PromptError, match=r"classes\.txt, line 4: empty synonym"):
        Vocabulary.from_file(file)


def test_duplicates_merge() -> None:
    vocabulary = Vocabulary.parse("cat; kitty, dog, CAT; feline; Kitty", merge_duplicates=True)
    assert vocabulary.classes == ("cat", "dog")
    assert vocabulary.prompts == ("cat", "kitty", "feline", "dog")
    assert vocabulary.prompt_class == (0, 0, 0, 1)


def test_most_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CLASSES == 65_535
    monkeypatch.setattr("ovseg.prompts.vocabulary.MAX_CLASSES", 20)
    names = [f"thing {i}" for i in range(21)]
    assert len(Vocabulary.from_names(names[:-1])) == 20
    with pytest.raises(PromptError, match="21 classes"):
        Vocabulary.from_names(names)


def test_one_class_is_warned_of_unless_a_background_joins_it() -> None:
    vocabulary = Vocabulary.parse("cat")
    with pytest.warns(UserWarning, match="EVERY pixel"):
        assert vocabulary.with_background("none") is vocabulary
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vocabulary.with_background("auto").classes == ("background", "cat")


@pytest.mark.parametrize(
    "name", ["animals.txt", "lists/animals.TXT", "names.csv", "./animals", "/no/animals", "~/names"]
)
def test_missing_class_file(name: str) -> None:
    with pytest.raises(PromptError, match="no such class file"):
        Vocabulary.parse(name)


def test_missing_class_file_names_its_neighbors(tmp_path: Path) -> None:
    (tmp_path / "animals.txt").write_text("cat\n")
    with pytest.raises(PromptError, match=r"perhaps .*animals\.txt"):
        Vocabulary.parse(str(tmp_path / "animal.txt"))
    with pytest.raises(PromptError, match="the built-in ade20k"):
        Vocabulary.parse("ade2k.txt")
    with pytest.raises(PromptError, match="a folder, no class file; expected a file[^(]*;"):
        Vocabulary.parse(str(tmp_path))


def test_missing_class_file_in_a_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: str) -> list[str]:
        raise PermissionError(folder)

    monkeypatch.setattr("os.listdir", refuse)
    with pytest.raises(PromptError, match="no such class file"):
        Vocabulary.parse(str(tmp_path / "animals.txt"))


def test_a_slash_within_a_name_is_no_path() -> None:
    assert Vocabulary.parse("road/route").classes == ("road/route",)


def test_near_miss_of_a_builtin_name() -> None:
    with pytest.warns(UserWarning, match="'ade20k'"):
        assert Vocabulary.parse("ade20").classes == ("ade20",)
    with pytest.raises(PromptError, match="perhaps ade20k"):
        Vocabulary.builtin("ade20")


def test_background_of_ones_own_words() -> None:
    words = Vocabulary.parse("cat, dog").with_background("sky; wall, tree")
    assert words.classes == ("background", "cat", "dog")
    assert words.prompts == ("sky", "wall", "tree", "cat", "dog")
    assert words.prompt_class == (0, 0, 0, 1, 2)
    assert words.background == 0
    replaced = Vocabulary.parse("cat, background").with_background(["sky", "wall"])
    assert replaced.prompts == ("cat", "sky", "wall")
    assert replaced.background == 1


def test_generic_background_leaves_out_what_is_asked() -> None:
    plain = Vocabulary.parse("cat, dog").with_background()
    words = Vocabulary.parse("Trees, brick wall, cat").with_background("auto")
    assert {"tree", "wall", "sky"} < set(plain.prompts)
    assert not {"tree", "wall"} & set(words.prompts)
    assert "sky" in words.prompts
    assert words.with_background("auto") is words


def test_empty_background_word() -> None:
    with pytest.raises(PromptError, match="background: empty class name"):
        Vocabulary.parse("cat").with_background("sky; ")


@pytest.mark.parametrize("words", [[], (), None, 3])
def test_no_background_word(words: object) -> None:
    with pytest.raises(PromptError, match="as words of the background; expected 'auto'"):
        Vocabulary.parse("cat").with_background(words)


def test_background_word_that_is_no_text() -> None:
    with pytest.raises(PromptError, match="background: 3 is no text"):
        Vocabulary.parse("cat").with_background(["sky", 3])


def test_background_word_that_a_class_asks_for() -> None:
    vocabulary = Vocabulary.parse("cat, outdoors: Sky; cloud, background: wall")
    with pytest.raises(PromptError, match="background: 'sky' is asked for by a class too"):
        vocabulary.with_background("tree; sky")
    assert vocabulary.with_background("wall; tree").prompts[-2:] == ("wall", "tree")


def test_hash_follows_the_words() -> None:
    vocabulary = Vocabulary.parse("cat, dog; puppy")
    assert vocabulary.sha256 == hashlib.sha256(b"cat\ndog; puppy\n").hexdigest()
    assert vocabulary.sha256 != Vocabulary.parse("dog; puppy, cat").sha256
    assert vocabulary.sha256 != vocabulary.with_background().sha256


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="ascii"), max_size=12), min_size=1, max_size=6))
def test_canonical_text_reads_back(names: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            vocabulary = Vocabulary.from_names(names)
        except PromptError:
            return
        assert Vocabulary.from_names(vocabulary.text.removesuffix("\n").split("\n")) == vocabulary


def test_every_data_set_has_a_list() -> None:
    assert set(COUNTS) <= set(builtins())
    assert set(LISTS) == {n for k in COUNTS for n in (k, *suffixed(k)) if n in builtins()}


@pytest.mark.parametrize("name", LISTS)
def test_builtin(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vocabulary = Vocabulary.builtin(name)
    known = data_set(name)
    assert len(vocabulary.classes) == COUNTS[known]
    assert vocabulary.background == (0 if known in WITH_BACKGROUND else None)
    if "," not in "".join(vocabulary.classes):
        assert vocabulary.classes == Vocabulary.builtin(known).classes
    assert len(vocabulary.prompts) == (PROMPT_COUNTS if name == known else COUNTS)[known]
    file = files("ovseg") / "vocabularies" / f"{name}.txt"
    assert vocabulary.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.read_text(encoding="utf-8").startswith("# ")
    assert Vocabulary.parse(name.upper().replace("_", "-")) == vocabulary


@pytest.mark.parametrize(
    ("name", "label", "prompt"),
    [
        ("voc20", "boat", "ship"),
        ("voc20_mmseg", "diningtable", "diningtable"),
        ("voc20_maskclip", "aeroplane", "airplane"),
        ("voc21_clip_dinoiser", "pottedplant", "potted plant"),
        ("coco_object_clip_dinoiser", "airplane", "aeroplane"),
        ("coco_stuff164k_maskclip", "wall-brick", "brick wall"),
        ("coco_stuff164k_ovseg", "wall-brick", "wall-brick"),
        ("ade20k", "traffic light", "trafficlight"),
        ("ade20k_ovseg", "road", "road, route"),
        ("ade847", "building, edifice", "building, edifice"),
    ],
)
def test_what_a_builtin_asks(name: str, label: str, prompt: str) -> None:
    vocabulary = Vocabulary.builtin(name)
    assert prompt in vocabulary.prompts
    assert vocabulary.classes[vocabulary.prompt_class[vocabulary.prompts.index(prompt)]] == label


def test_labels_are_in_the_order_of_mmsegmentation() -> None:
    folder = Path(find_spec("mmseg").origin).parent / "datasets"
    metainfo = []
    for module in ("ade", "voc", "pascal_context", "coco_stuff", "cityscapes"):
        for node in ast.walk(ast.parse((folder / f"{module}.py").read_text())):
            if isinstance(node, ast.keyword) and node.arg == "classes":
                metainfo.append(tuple(name.strip() for name in ast.literal_eval(node.value)))
    for name in ("ade20k", "voc21", "context59", "context60", "coco_stuff164k", "cityscapes"):
        assert Vocabulary.builtin(name).classes in metainfo
    assert Vocabulary.builtin("voc20").classes == Vocabulary.builtin("voc21").classes[1:]
    things = Vocabulary.builtin("coco_stuff164k").classes[:80]
    assert Vocabulary.builtin("coco_object").classes == ("background", *things)


def test_import_is_light() -> None:
    script = (
        "import sys; from ovseg.prompts.vocabulary import Vocabulary; Vocabulary.builtin('ade20k');"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'cv2', 'mmengine')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
