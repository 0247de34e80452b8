import pytest
import torch
from torch.nn import functional

from ovseg.errors import InputError
from ovseg.inference.scores import CosineScores, DenseScores, join_windows
from ovseg.inference.windows import slide


def test_windows_lie_side_by_side():
    grid = slide((4, 6), (4, 4), (2, 2))
    values = torch.stack([torch.full((5, 2, 3), float(i)) for i in range(2)])
    joined = join_windows(values, grid)
    assert joined.shape == (5, 2, 6)
    assert joined[0, 0].tolist() == [0, 0, 0, 1, 1, 1]


def test_another_number_of_windows():
    with pytest.raises(InputError, match="2 windows"):
        join_windows(torch.zeros(3, 5, 2, 2), slide((4, 6), (4, 4), (2, 2)))


@pytest.mark.parametrize("prompts", [1, 5, 8, 300])
@pytest.mark.parametrize("softmax", [None, 20.0])
def test_cosines_are_computed_when_asked_for(prompts, softmax):
    torch.manual_seed(0)
    features, text = torch.randn(16, 4, 7), functional.normalize(torch.randn(prompts, 16), dim=1)
    lazy = CosineScores(features, text, softmax=softmax)
    expected = torch.einsum("qe,ehw->qhw", text, functional.normalize(features, dim=0))
    if softmax is not None:
        expected = (softmax * expected).softmax(0)
    assert lazy.prompts == prompts
    assert lazy.shape == (4, 7)
    torch.testing.assert_close(lazy.chunk(0, prompts), expected, atol=1e-5, rtol=1e-4)
    rows, columns = torch.tensor([1, 3]), torch.tensor([0, 2, 6])
    part = lazy.crop(rows, columns)
    torch.testing.assert_close(
        part.scores_of(torch.tensor([prompts - 1])),
        expected[-1:][:, rows][:, :, columns],
        atol=1e-5,
        rtol=1e-4,
    )


def test_a_feature_of_length_zero_is_no_nan():
    assert not CosineScores(torch.zeros(4, 1, 1), torch.eye(4)).chunk(0, 4).any()


def test_dense_band_and_take():
    values = torch.randn(6, 3, 4)
    scores = DenseScores(values, patch=16)
    part = scores.crop(torch.tensor([2]), torch.tensor([1, 3]))
    assert part.patch == 16
    assert torch.equal(part.chunk(2, 4), values[2:4, 2:3][:, :, [1, 3]])
    assert torch.equal(scores.scores_of(torch.tensor([5, 0])), values[[5, 0]])
