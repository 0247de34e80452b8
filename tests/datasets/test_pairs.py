"""Images and label maps are matched by name, and what lacks the other is named (row 63)."""

import pytest

from ovseg.datasets.pairs import check_class_order, find_pairs, require_root
from ovseg.errors import ConfigError, DatasetError
from ovseg.prompts.vocabulary import Vocabulary

SUFFIXES = (".jpg", "_ids.png")


def fill(root, images, labels, split=None):
    for name in images:
        path = root / "img" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in labels:
        path = root / "ann" / f"{name}_ids.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if split is not None:
        (root / "val.txt").write_text(split)
    return find_pairs(
        root / "img", root / "ann", SUFFIXES, None if split is None else root / "val.txt"
    )


def test_names_match_in_subfolders_too(tmp_path):
    pairs = fill(tmp_path, ["a", "ulm/b", ".hidden"], ["ulm/b", "a"])
    assert pairs.complete == ("a", "ulm/b")
    assert pairs.missing == 0
    assert pairs.problems() == []
    pairs.require(tmp_path)


def test_what_lacks_its_partner_is_listed(tmp_path):
    pairs = fill(tmp_path, ["a", "b", "c"], ["b", "d"])
    assert (pairs.no_labels, pairs.no_image, pairs.missing) == (("a", "c"), ("d",), 3)
    with pytest.raises(
        DatasetError, match=r"2 without a label map: a, c; 1 without an image: d.*--allow-missing"
    ):
        pairs.require(tmp_path)
    pairs.require(tmp_path, allow_missing=True)


def test_a_split_decides_which_names_count(tmp_path):
    pairs = fill(tmp_path, ["a", "b", "x"], ["a", "b", "y"], "a 1\nb -1\n\nlost\nb\n")
    assert pairs.complete == ("a", "b")
    assert pairs.absent == ("lost",)
    assert pairs.repeated == ("b",)
    assert pairs.problems() == [
        "1 listed, but neither image nor label map is there: lost",
        "1 listed more than once: b",
    ]


def test_a_split_that_is_not_there_or_empty_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"val\.txt: the list of the split is empty"):
        fill(tmp_path, ["a"], ["a"], "\n")
    (tmp_path / "val.txt").unlink()
    with pytest.raises(DatasetError, match=r"val\.txt.*No such file.*ovseg prepare"):
        find_pairs(tmp_path, tmp_path, SUFFIXES, tmp_path / "val.txt")


def test_nothing_complete_is_refused_even_when_missing_is_allowed(tmp_path):
    pairs = fill(tmp_path, ["a"], ["b"])
    with pytest.raises(DatasetError, match="no image with a label map"):
        pairs.require(tmp_path, allow_missing=True)


def test_a_permuted_order_of_classes_is_caught():
    classes = Vocabulary.builtin("coco_stuff164k").classes
    check_class_order(classes, [name.upper() for name in classes])
    swapped = list(classes)
    swapped[80], swapped[170] = swapped[170], swapped[80]
    with pytest.raises(ConfigError, match="2 of 171.*80 is 'wood' instead of 'banner'"):
        check_class_order(classes, swapped)
    things_last = classes[80:] + classes[:80]
    with pytest.raises(ConfigError, match="171 of 171 classes.*order of the data set's ids"):
        check_class_order(classes, things_last)
    with pytest.raises(ConfigError, match="170 classes, the data set 171"):
        check_class_order(classes, classes[1:])


def test_other_words_for_a_class_are_no_other_order():
    check_class_order(["cat", "dog"], ["cat", "hound"])
    for name in ("ade847_ovseg", "ade847"):
        check_class_order(Vocabulary.builtin("ade847").classes, Vocabulary.builtin(name).classes)


@pytest.mark.parametrize("kind", ["ADE20KDataset", "CityscapesDataset", "PascalVOC21Dataset"])
def test_a_missing_root_names_the_variable_the_flag_and_the_command(kind, tmp_path):
    require_root(kind, tmp_path)
    with pytest.raises(DatasetError) as caught:
        require_root(kind, tmp_path / "lost")
    for word in (str(tmp_path / "lost"), "OVSEG_DATA", "data_root=", "ovseg prepare "):
        assert word in str(caught.value)


def test_data_of_ones_own_may_lie_anywhere(tmp_path):
    require_root("BaseSegDataset", tmp_path / "lost")
    require_root("SceneDataset", None)
