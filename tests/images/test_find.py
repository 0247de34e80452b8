"""Finding images and naming their results (bad inputs 21 to 26, 89, 90, 92)."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from ovseg.errors import InputError
from ovseg.images import find_images


@pytest.fixture
def tree(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def names(*sources, **options):
    return [item.name for item in find_images(sources, **options)]


def test_folder_is_mirrored_in_order(tree):
    root = tree("b.jpg", "a.PNG", "x/y/c.tiff", "x/a.jpg")
    found = find_images([root])
    assert [item.name for item in found] == ["a", "b", "x/a", "x/y/c"]
    assert [item.path for item in found][2] == str(root / "x/a.jpg")
    assert found.total == 4


def test_same_stem_keeps_the_extension(tree):
    root = tree("a.jpg", "a.png", "x/a.jpg", "z/a.jpg", "z/a.png", "z/a.jpg.png", "z/b.jpg")
    assert names(root) == ["a.jpg", "a.png", "x/a", "z/a.jpg", "z/a.jpg.png", "z/a.png", "z/b"]


def test_a_kept_extension_never_meets_another_name(tree):
    root = tree("a.jpg", "a.png", "a.jpg.png")
    found = names(root)
    assert len(set(found)) == 3


@pytest.mark.parametrize("as_lines", [False, True])
def test_files_count_from_the_folder_they_share(tree, as_lines):
    root = tree("a.jpg", "a.png", "x/a.jpg")
    one, both, far = (
        [root / "a.jpg"],
        [root / "a.jpg", root / "a.png"],
        [
            root / "a.jpg",
            root / "x/a.jpg",
        ],
    )
    for sources, expected in ((one, ["a"]), (both, ["a.jpg", "a.png"]), (far, ["a", "x/a"])):
        given = (f"{path}\n" for path in sources) if as_lines else sources
        found = find_images(given)
        assert [item.name for item in found] == expected
        assert [item.name for item in found] == expected


def test_two_folders_stay_apart(tree):
    root = tree("x/a.jpg", "y/a.jpg")
    assert names(root / "x", root / "y") == ["x/a", "y/a"]


def test_the_same_file_twice_is_no_clash(tree):
    root = tree("a.jpg", "b.jpg")
    assert names(root, root / "a.jpg") == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a"]),
        ("?.*", ["a", "b"]),
        ("**/*.jpg", ["a", "x/a", "x/y/c"]),
        ("*/*.jpg", ["x/a"]),
        ("x/**/c.*", ["y/c"]),
        ("*", ["a", "b", "x/a", "x/y/c"]),
        ("[xq]", ["x/a", "x/y/c"]),
        ("*.gif", []),
        ("q*/*.jpg", []),
    ],
)
def test_globs(tree, pattern, expected):
    root = tree("a.jpg", "b.png", "x/a.jpg", "x/y/c.jpg", "notes.txt")
    assert names(str(root / pattern)) == expected


def test_globs_that_clash(tree):
    root = tree("a.jpg", "a.png", "b.png")
    assert names(str(root / "*.jpg"), str(root / "*.png")) == ["a.jpg", "a.png", "b"]


def test_relative_sources(tree, monkeypatch):
    monkeypatch.chdir(tree("a.jpg", "x/b.jpg", "-c.jpg"))
    assert names(".") == ["-c", "a", "x/b"]
    assert names("a.jpg") == ["a"]
    assert names("./a.jpg", "x//b.jpg") == ["a", "x/b"]
    assert names("-c.jpg") == ["-c"]
    assert names("*.jpg") == ["-c", "a"]


def test_a_file_with_glob_characters_is_a_file(tree):
    assert names(tree("a[1].jpg", "a1.jpg") / "a[1].jpg") == ["a[1]"]


def test_a_named_file_is_taken_whatever_it_is(tree):
    root = tree("scan.dat")
    assert names(root / "scan.dat", root / "gone.jpg") == ["scan", "gone"]


def test_what_is_ignored_is_counted(tree):
    root = tree("a.jpg", ".hidden.jpg", "._a.jpg", "Thumbs.db", "notes.txt", ".git/b.png")
    found = find_images([root])
    assert [item.name for item in found] == ["a"]
    assert found.ignored == {"hidden": 3, "other files": 2}


def test_output_folder_is_left_out(tree):
    root = tree("a.jpg", "out/a.overlay.png", "x/out/b.jpg")
    found = find_images([root], exclude=root / "out")
    assert [item.name for item in found] == ["a", "x/out/b"]
    assert found.ignored["output"] == 1


def test_link_that_leads_back_is_followed_never(tree):
    root = tree("a.jpg", "x/b.jpg")
    (root / "x/up").symlink_to(root)
    found = find_images([root])
    assert [item.name for item in found] == ["a", "x/b"]
    assert found.problems == [(str(root / "x/up"), "leads back to a folder above it")]
    assert names(str(root / "**/*.jpg")) == ["a", "x/b"]


def test_links_to_other_folders_are_followed(tree):
    root = tree("in/a.jpg", "elsewhere/b.jpg")
    (root / "in/link").symlink_to(root / "elsewhere")
    assert names(root / "in") == ["a", "link/b"]


def test_folder_that_cannot_be_read_is_recorded(tree, monkeypatch):
    root = tree("a.jpg", "x/b.jpg")
    scan = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("x"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_images([root])
    assert [item.name for item in found] == ["a"]
    assert found.problems == [(str(root / "x"), "cannot be searched (Permission denied)")]


def test_nothing_found_says_what_was_looked_for(tree):
    root = tree("notes.txt")
    with pytest.raises(InputError, match=r"no images found in .*1 other files.*\.jpg"):
        find_images([root]).require_any()
    find_images([tree("a.jpg")]).require_any()


@pytest.mark.parametrize("name", ["new\nline", "%s {0} {x}", "猫", "a b", "-x"])
def test_unusual_names_stay(tree, name):
    assert names(tree(f"{name}.jpg")) == [name]


def test_names_too_long_for_a_suffix_are_shortened(tree):
    root = tree("x" * 240 + ".jpg", "x" * 241 + ".jpg")
    found = names(root)
    assert all(len(name) == 200 for name in found)
    assert len(set(found)) == 2


def test_bytes_that_are_no_text_stay(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    try:
        with open(path, "wb"):
            pass
    except OSError:  # a file system that takes only UTF-8
        return
    assert names(tmp_path) == [os.fsdecode(b"\xff\xfe")]


# Row 27
@pytest.mark.parametrize("address", ["https://a.org/p.jpg?id=1", "http://a.org/*.jpg", "s3://a/p"])
def test_addresses_are_refused_with_what_to_do(tree, address):
    found = find_images([tree("a.jpg"), address])
    for _ in range(2):
        with pytest.raises(InputError, match="is an address.*first.*curl -O") as caught:
            found.require_any()
        assert caught.value.where == address


def test_one_string_is_one_source(tree):
    assert [item.name for item in find_images(str(tree("a.jpg")))] == ["a"]


def test_memory_does_not_hold_the_list():
    names("warm up")
    lines = (f"folder/image {index:06d}.jpg\n" for index in range(2000))
    tracemalloc.start()
    count = sum(1 for _ in find_images(lines))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2000
    assert peak < 2000 * 150


def test_stems_that_differ_by_case_alone_keep_their_extensions(tmp_path):
    for name in ("a.jpg", "A.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    names = sorted(item.name for item in find_images([str(tmp_path)]))
    assert names == ["A.png", "a.jpg", "b"]
