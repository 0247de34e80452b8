import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ovseg.errors import ConfigError, InputError
from ovseg.inference.decode import decode, maps
from ovseg.inference.scores import CosineScores, DenseScores
from ovseg.inference.tiles import DecodeOptions
from ovseg.inference.windows import slide, whole

PATCH = 4


def plain(values, grid, out_size, *, cell_alignment):
    """The whole map (Q, H, W) as an image-sized array, step by step."""
    total, count = torch.zeros(values.shape[1], *grid.size), torch.zeros(grid.size)
    for (top, left, bottom, right), window in zip(grid.boxes(), values, strict=True):
        spread, (y, x) = grid.crop, (0, 0)
        if cell_alignment == "exact":
            spread = [s * PATCH for s in window.shape[1:]]
        elif cell_alignment == "around":
            spread = [-(-side // 16) * 16 for side in grid.crop]
            y, x = ((wide - side) // 2 for wide, side in zip(spread, grid.crop, strict=True))
        pixels = F.interpolate(window[None], spread, mode="bilinear")[0]
        total[:, top:bottom, left:right] += pixels[:, y : y + grid.crop[0], x : x + grid.crop[1]]
        count[top:bottom, left:right] += 1
    return F.interpolate((total / count)[None], out_size, mode="bilinear")[0]


def plain_probabilities(whole_map, score_type, temperature, prompt_class, classes):
    probs = (temperature * whole_map).softmax(0) if score_type == "logits" else whole_map
    merged = torch.zeros(classes, *probs.shape[1:])
    index = torch.tensor(prompt_class).view(-1, 1, 1).expand_as(probs)
    return merged.scatter_reduce(0, index, probs, "amax")


@st.composite
def problems(draw):
    side = st.integers(1, 40)
    size, out_size = (draw(st.tuples(side, side)) for _ in range(2))
    crop = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    stride = tuple(draw(st.integers(max(1, c // 3), c)) for c in crop)
    prompts = draw(st.integers(1, 40))
    classes = draw(st.integers(1, prompts))
    synonyms = [draw(st.integers(0, classes - 1)) for _ in range(prompts - classes)]
    return {
        "grid": slide(size, crop, stride),
        "out_size": out_size,
        "prompt_class": [*range(classes), *synonyms],
        "score_type": draw(st.sampled_from(["logits", "probs"])),
        "temperature": draw(st.sampled_from([1.0, 10.0])),
        "threshold": draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        "background": draw(st.none() | st.integers(0, classes - 1)),
        "cell_alignment": draw(st.sampled_from(["stretch", "exact", "around"])),
        "max_elements": draw(st.sampled_from([None, 1, 5000])),
        "seed": draw(st.integers(0, 1000)),
    }


@settings(max_examples=150, deadline=None)
@given(problems())
def test_decode_equals_the_plain_way(problem):
    grid, out_size, prompt_class = (problem[k] for k in ("grid", "out_size", "prompt_class"))
    torch.manual_seed(problem["seed"])
    h, w = (-(-side // PATCH) for side in grid.crop)
    values = torch.rand(len(grid), len(prompt_class), h, w)
    scores = DenseScores.from_windows(values, grid, PATCH)
    names = ("score_type", "temperature", "cell_alignment", "max_elements")
    options = DecodeOptions(prompt_class, **{name: problem[name] for name in names})
    found = decode(
        scores,
        grid,
        out_size,
        options,
        threshold=problem["threshold"],
        background=problem["background"],
    )
    pixels = plain(values, grid, out_size, cell_alignment=problem["cell_alignment"])
    probs = plain_probabilities(
        pixels, problem["score_type"], problem["temperature"], prompt_class, max(prompt_class) + 1
    )
    value, label = probs.max(0)
    np.testing.assert_allclose(found.scores, value, atol=1e-5)
    label[value < problem["threshold"]] = problem["background"] or 0
    runner_up = probs.topk(min(2, len(probs)), 0).values[-1]
    sure = (value - problem["threshold"]).abs() > 1e-5
    sure &= (value - runner_up > 1e-5) | (len(probs) == 1)
    assert torch.equal(torch.from_numpy(found.labels).long()[sure], label[sure])

    wanted = sorted(set(prompt_class))[::-1][:3]
    some = maps(scores, grid, out_size, wanted, options)
    torch.testing.assert_close(some, probs[wanted], atol=1e-5, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    prompts=st.integers(2, 90),
    seed=st.integers(0, 999),
    out_size=st.tuples(st.integers(1, 80), st.integers(1, 80)),
)
def test_of_equal_queries_the_first_wins(prompts, seed, out_size):
    torch.manual_seed(seed)
    grid = slide((32, 40), (16, 16), (10, 10))
    values = torch.randn(len(grid), prompts, 4, 4)
    twins = torch.randperm(prompts)[:2]
    values[:, twins] = values.amax(1, keepdim=True) + 1
    found = decode(DenseScores.from_windows(values, grid), grid, out_size)
    assert (found.labels == int(twins.min())).all()


def test_equal_words_are_equal_queries():
    torch.manual_seed(0)
    text = F.normalize(torch.randn(70, 24), dim=1)
    text[40] = text[69] = text[3]
    features = text[3].view(24, 1, 1) + 0.1 * torch.randn(24, 5, 9)
    found = decode(CosineScores(features, text), whole((40, 72)), (77, 123))
    assert (found.labels == 3).all()


def test_a_constant_image_gives_finite_scores():
    scores = DenseScores(torch.full((7, 3, 3), -100.0))
    found = decode(scores, whole((48, 48)), (20, 30), DecodeOptions(temperature=100.0))
    assert (found.labels == 0).all()
    np.testing.assert_allclose(found.scores, 1 / 7, atol=1e-6)


def test_wide_logits_do_not_overflow():
    scores = DenseScores(torch.tensor([[[-1.0, 1.0]], [[1.0, -1.0]]]))
    found = decode(scores, whole((1, 2)), (1, 2), DecodeOptions(temperature=1e4))
    assert found.labels.tolist() == [[1, 0]]
    assert found.scores.tolist() == [[1.0, 1.0]]


def test_without_scores_labels_are_the_same():
    torch.manual_seed(0)
    grid, scores = whole((48, 48)), DenseScores(torch.rand(9, 3, 3))
    for threshold in (0.0, 0.12):
        full = decode(scores, grid, (50, 70), threshold=threshold)
        short = decode(scores, grid, (50, 70), threshold=threshold, want_scores=False)
        assert short.scores is None
        assert np.array_equal(full.labels, short.labels)


@pytest.mark.parametrize(
    ("classes", "dtype"), [(256, np.uint8), (257, np.int16), (40000, np.int32)]
)
def test_labels_take_the_smallest_integers(classes, dtype):
    scores = DenseScores(torch.rand(classes, 1, 1))
    found = decode(scores, whole((2, 2)), (2, 2))
    assert found.labels.dtype == dtype
    assert (found.labels == int(scores.values.argmax())).all()


@pytest.mark.parametrize("softmax", [None, 30.0])
def test_lazy_scores_decode_like_dense_ones(softmax):
    torch.manual_seed(0)
    grid = slide((64, 96), (64, 64), (32, 32))
    features, text = torch.randn(32, 4, 8), F.normalize(torch.randn(75, 32), dim=1)
    lazy = CosineScores(features, text, softmax=softmax)
    score_type = "logits" if softmax is None else "probs"
    options = DecodeOptions(score_type=score_type, temperature=40.0)
    one = decode(lazy, grid, (90, 111), options)
    two = decode(DenseScores(lazy.chunk(0, 75)), grid, (90, 111), options)
    assert (one.labels == two.labels).mean() > 0.999
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"score_type": "cosine"}, "score_type"),
        ({"temperature": 0.0}, "temperature"),
        ({"cell_alignment": "corners"}, "cell_alignment"),
        ({"cell_alignment": "exact"}, "cell_alignment"),
    ],
)
def test_settings_out_of_range(changes, where):
    given = {name: value for name, value in changes.items() if name != "threshold"}
    threshold = changes.get("threshold", 0.0)
    scores, options = DenseScores(torch.rand(2, 1, 1)), DecodeOptions(**given)
    with pytest.raises(ConfigError, match=where):
        decode(scores, whole((4, 4)), (4, 4), options, threshold=threshold)


def test_scores_that_do_not_fit():
    with pytest.raises(InputError, match="3 prompts"):
        decode(DenseScores(torch.rand(2, 1, 1)), whole((4, 4)), (4, 4), DecodeOptions([0, 1, 1]))
    with pytest.raises(InputError, match="divide"):
        decode(DenseScores(torch.rand(2, 3, 3)), slide((4, 8), (4, 4), (4, 4)), (4, 8))


def test_scores_that_could_be_trained_decode_too():
    values = torch.rand(3, 2, 2, requires_grad=True)
    assert decode(DenseScores(values), whole((8, 8)), (8, 8)).labels.shape == (8, 8)
    assert not maps(DenseScores(values), whole((8, 8)), (8, 8), [0]).requires_grad
