"""Matching and losses of proposals where nothing is known, or little."""

from __future__ import annotations

import torch

from ovseg.training.mask_losses import (
    MaskTargets,
    mask_losses,
    match,
    pixel_loss,
    targets_of_labels,
)


def test_every_class_of_a_label_map_is_one_mask():
    labels = torch.tensor([[2, 2, 255], [7, 2, 255]])
    found = targets_of_labels(labels)
    assert found.labels.tolist() == [2, 7]
    assert found.masks.sum(dim=(1, 2)).tolist() == [3, 1]


def test_the_right_queries_are_matched():
    masks = torch.full((3, 4, 4), -8.0)
    masks[2, :2] = masks[0, 2:] = 8.0
    targets = targets_of_labels(torch.tensor([[0] * 4] * 2 + [[1] * 4] * 2))
    rows, columns = match(torch.zeros(3, 3), masks, targets)
    assert rows.tolist() == [0, 2]
    assert columns.tolist() == [1, 0]


def test_an_image_of_nothing_teaches_no_masks():
    nothing = targets_of_labels(torch.full((8, 8), 255))
    logits, masks = torch.zeros(1, 2, 4, requires_grad=True), torch.randn(1, 2, 4, 4)
    masks.requires_grad_()
    losses = mask_losses(logits, masks, [nothing], 1.0)
    sum(losses.values()).backward()
    assert losses["mask"] == losses["dice"] == 0
    assert not masks.grad.any()
    # "No object" is the last class.
    assert (logits.grad[..., -1] < 0).all()
    assert (logits.grad[..., :-1] > 0).all()


def test_more_masks_than_queries():
    targets = MaskTargets(torch.arange(3), torch.eye(3).view(3, 1, 3))
    rows, columns = match(torch.zeros(2, 4), torch.zeros(2, 1, 3), targets)
    assert rows.tolist() == [0, 1]
    assert len(set(columns.tolist())) == 2


def test_masks_of_a_batch_count_alike():
    """Images of one and of two masks together: sums over all, divided once."""
    labels = torch.zeros(2, 8, 8, dtype=torch.long)
    labels[1, :, 4:] = 1
    targets = [targets_of_labels(each) for each in labels]
    logits, masks = torch.randn(2, 3, 4), torch.randn(2, 3, 4, 4)
    both = mask_losses(logits, masks, targets, 3.0)
    single = [
        mask_losses(logits[k : k + 1], masks[k : k + 1], targets[k : k + 1], 3.0) for k in (0, 1)
    ]
    for name in ("mask", "dice"):
        torch.testing.assert_close(both[name], single[0][name] + single[1][name])


def test_pixels_of_no_class_teach_nothing():
    labels = torch.full((1, 8, 8), 255)
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    assert pixel_loss(logits, labels) == 0
    labels[0, :4, :4] = 2
    loss = pixel_loss(logits, labels)
    torch.testing.assert_close(loss, -logits.log_softmax(1)[0, 2, :2, :2].mean())
    loss.backward()
    assert not logits.grad[:, :, 2:].any()
    assert logits.grad[:, :, :2, :2].any()
