import numpy as np

from benchmarks.measure import measure, measure_apart


def hold(megabytes):
    return lambda: np.ones(megabytes << 20, np.uint8)


def test_the_work_is_measured_not_its_preparation():
    calls = []

    def case(name):
        calls.append("prepare")
        return lambda: calls.append(name)

    found = measure(case, {"name": "work"}, repeats=3)
    assert calls == ["prepare", "work", "work", "work"]
    assert found["seconds"] >= 0


def test_peak_of_memory():
    found = measure(hold, {"megabytes": 300})
    assert 280 < found["peak_mb"] < 400


def test_a_process_of_its_own():
    found = measure_apart("decode", {"classes": 3, "size": [20, 30], "way": "ours"})
    assert set(found) == {"seconds", "peak_mb"}


def test_a_case_that_fails():
    assert "TypeError" in measure_apart("decode", {"classes": 0})["failed"]
