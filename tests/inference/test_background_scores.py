"""Scores with cells given to the background."""

import torch

from ovseg.inference.scores import BackgroundOverriddenScores, DenseScores, best_scores

VALUES = torch.tensor([[[0.2, 0.5]], [[0.7, 0.4]], [[0.1, 0.1]]])
CELLS = torch.tensor([[True, False]])
CERTAIN = torch.tensor([True, False, True])


def test_all_queries_of_the_background_become_certain():
    cleaned = BackgroundOverriddenScores(DenseScores(VALUES), CELLS, CERTAIN)
    whole = [[[1.0, 0.5]], [[0.7, 0.4]], [[1.0, 0.1]]]
    torch.testing.assert_close(cleaned.chunk(0, 3), torch.tensor(whole))
    torch.testing.assert_close(cleaned.scores_of(torch.tensor([2])), torch.tensor(whole[2:]))
    band = cleaned.crop(torch.tensor([0]), torch.tensor([1, 0, 1]))
    assert band.shape == (1, 3)
    torch.testing.assert_close(band.chunk(0, 1), torch.tensor([[[0.5, 1.0, 0.5]]]))


def test_the_scores_underneath_stay():
    values = VALUES.clone()
    BackgroundOverriddenScores(DenseScores(values), CELLS, CERTAIN).chunk(0, 3)
    assert torch.equal(values, VALUES)


def test_best_of_more_queries_than_fit_at_a_time():
    values = torch.rand(700, 2, 3)
    assert torch.equal(best_scores(DenseScores(values)), values.amax(0))
