"""The arithmetic of affinities on numbers that can be checked by hand."""

from __future__ import annotations

import torch

from ovseg.heads.affinity import affinity, affinity_pool, cut_below


def test_affinity_is_the_cosine_of_pairs() -> None:
    features = torch.tensor([[3.0, 0.0, -2.0], [0.0, 1.0, 0.0]]).view(1, 2, 1, 3)
    expected = torch.tensor([[[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]])
    torch.testing.assert_close(affinity(features), expected)


def test_zero_vectors_are_alike_to_nothing() -> None:
    assert torch.equal(affinity(torch.zeros(1, 4, 2, 2)), torch.zeros(1, 4, 4))


def test_cut_keeps_the_bound_itself() -> None:
    gamma = 0.2
    exact = torch.tensor(gamma)
    below = torch.nextafter(exact, torch.tensor(0.0))
    above = torch.nextafter(exact, torch.tensor(1.0))
    cut = cut_below(torch.stack([below, exact, above, torch.tensor(-1.0)]), gamma)
    assert torch.equal(cut, torch.stack([torch.tensor(0.0), exact, above, torch.tensor(0.0)]))


def test_cut_is_off_without_gamma() -> None:
    for gamma in (None, 0, 0.0):
        assert cut_below(torch.tensor([-1.0, 0.1]), gamma).tolist() == [-1.0, torch.tensor(0.1)]


def test_pool_takes_weighted_means() -> None:
    features = torch.tensor([[[[2.0, 6.0]]]])
    weights = torch.tensor([[[1.0, 1.0], [0.0, 0.5]]])
    torch.testing.assert_close(
        affinity_pool(features, weights, (1, 2)), torch.tensor([[[[4.0, 6.0]]]]), atol=2e-5, rtol=0
    )


def test_pool_gives_zero_without_neighbors() -> None:
    pooled = affinity_pool(torch.ones(1, 3, 1, 2), torch.zeros(1, 2, 2), (1, 2))
    assert torch.equal(pooled, torch.zeros(1, 3, 1, 2))


def test_pool_resizes_features_of_another_grid() -> None:
    pooled = affinity_pool(torch.ones(1, 3, 2, 2), torch.eye(12)[None], (3, 4))
    torch.testing.assert_close(pooled, torch.ones(1, 3, 3, 4), atol=1e-5, rtol=0)
