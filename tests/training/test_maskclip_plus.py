"""Pseudo labels as pure functions."""

from __future__ import annotations

import torch

from ovseg.training.maskclip_plus import (
    class_vectors,
    distillation_loss,
    fill,
    guess_of_network,
    hide,
    ignore_rest,
)

LABELS = torch.tensor([[[0, 1, -1], [255, 2, -1]]])


def test_hidden_classes_lose_their_labels():
    assert hide(LABELS, [1, 2]).tolist() == [[[0, -1, -1], [255, -1, -1]]]
    assert hide(LABELS, []).equal(LABELS)


def test_only_pixels_without_a_label_are_filled():
    guess = torch.tensor([[[0, 0, 1], [1, 1, 0]]])
    assert fill(LABELS, guess, [7, 9]).tolist() == [[[0, 1, 9], [255, 2, 7]]]


def test_doubtful_pixels_stay_open_and_then_do_not_count():
    guess = torch.zeros_like(LABELS)
    sure = torch.tensor([[[0.0, 0.0, 0.6], [0.0, 0.0, 0.4]]])
    filled = fill(LABELS, guess, [7], sure, threshold=0.5)
    assert filled.tolist() == [[[0, 1, 7], [255, 2, -1]]]
    assert ignore_rest(filled).tolist() == [[[0, 1, 7], [255, 2, 255]]]


def test_the_network_guesses_what_its_upsampled_scores_say():
    logits = torch.randn(2, 3, 4, 5, generator=torch.manual_seed(0))
    guess, sure = guess_of_network(logits, (8, 10))
    whole = torch.nn.functional.interpolate(logits, (8, 10), mode="bilinear").softmax(1)
    assert torch.equal(guess, whole.argmax(1))
    torch.testing.assert_close(sure, whole.amax(1))


def test_synonyms_make_one_unit_row():
    rows = class_vectors(torch.eye(3), [0, 0, 1], 2)
    expected = torch.tensor([[0.5**0.5, 0.5**0.5, 0], [0, 0, 1]])
    torch.testing.assert_close(rows, expected)


def test_distillation_counts_pixels_that_count():
    features = torch.zeros(1, 2, 1, 2, requires_grad=True)
    teacher = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
    labels = torch.tensor([[[0, 255]]])
    loss = distillation_loss(features, teacher, labels)
    torch.testing.assert_close(loss, torch.tensor(0.7))
    loss.backward()
    assert features.grad[..., 0].abs().min() > 0
    assert features.grad[..., 1].abs().max() == 0
    assert distillation_loss(features, teacher, torch.full((1, 1, 2), 255)) == 0
