import json
import threading

import pytest

from ovseg.runs.journal import Journal, append_line


@pytest.fixture
def journal(tmp_path):
    book = Journal(tmp_path / "results.jsonl")
    yield book
    book.close()


def names_in(path):
    return [json.loads(line)["name"] for line in path.read_bytes().splitlines()]


def test_gives_back_what_was_added(journal):
    assert journal.get("a") is None
    journal.add({"name": "a", "value": 1})
    journal.add({"name": "b", "value": 2})
    assert journal.get("a") == {"name": "a", "value": 1}
    assert sorted(journal.names()) == ["a", "b"]


@pytest.mark.parametrize(
    "name", ["naïve ☃", "100%s {} %d", "-rf", "line\nbreak", "bad \udcff byte"]
)
def test_keeps_any_file_name(journal, name):
    journal.add({"name": name})
    assert journal.get(name) == {"name": name}
    assert list(journal.names()) == [name]


def test_last_record_of_a_name_counts_and_tidying_keeps_only_it(journal):
    journal.add({"name": "a", "value": 1})
    journal.add({"name": "b"})
    journal.add({"name": "a", "value": 2})
    assert journal.get("a")["value"] == 2
    journal.tidy()
    assert names_in(journal.path) == ["b", "a"]
    assert journal.get("a")["value"] == 2


@pytest.mark.parametrize("torn", [b'{"name": "c", "va', b"not json\n", b'["name"]\n', b"\xff\n"])
def test_a_cut_or_foreign_line_counts_as_never_written(journal, torn):
    journal.add({"name": "a"})
    with journal.path.open("ab") as stream:
        stream.write(torn)
    assert list(journal.names()) == ["a"]
    journal.tidy()
    journal.add({"name": "d"})
    assert names_in(journal.path) == ["a", "d"]


def test_sees_lines_of_another_process_and_survives_its_tidying(journal):
    other = Journal(journal.path)
    for value in (1, 2):
        other.add({"name": "a", "value": value})
    assert journal.get("a")["value"] == 2
    other.tidy()
    assert journal.get("a")["value"] == 2
    other.add({"name": "b"})
    assert journal.get("b") == {"name": "b"}
    other.close()


def test_writers_at_the_same_time_do_not_mix_lines(tmp_path):
    path = tmp_path / "lines.jsonl"

    def write(writer):
        for i in range(200):
            append_line(path, {"name": f"{writer}-{i}", "fill": "x" * 500})

    threads = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names_in(path))) == 800


def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("os.write", lambda handle, data: len(data) - 1)
    with pytest.raises(OSError, match="No space left"):
        append_line(tmp_path / "lines.jsonl", {"name": "a"})
