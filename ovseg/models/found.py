"""FOUND (Simeoni et al., CVPR 2023): what of an image is foreground, from DINO's keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.models.dino import DinoEncoder, build_vit, find_dino_weights, load_vit
from ovseg.weights.load import load_strict
from ovseg.weights.read import hash_state, read_state_dict
from ovseg.weights.rename import WRAPPERS
from ovseg.weights.sources import local_file

__all__ = ["FoundEncoder", "build_found", "coarse_background"]

_DECODER = "decoder."


class FoundEncoder(nn.Module):
    """A 1x1 convolution over the keys of DINO's last block.

    Args:
        dino: the encoder; published weights belong to a ViT-S/8.
    """

    def __init__(self, dino: DinoEncoder) -> None:
        super().__init__()
        self.dino = dino
        self.decoder = nn.Conv2d(dino.width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of "foreground".

        Args:
            images: (B, 3, H, W) RGB in [0, 1], any size.

        Returns:
            (B, 1, h, w), one a patch of DINO.
        """
        return self.decoder(self.dino(images, "k"))

    def foreground(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        """Probability (B, 1, *grid) of "foreground", resized bilinearly without antialias."""
        soft = self(images).sigmoid()
        return functional.interpolate(soft, grid, mode="bilinear", align_corners=False)


def build_found(
    model: str | Path | Mapping[str, Any],
    pretrained: str | Path | None,
    decoder: str | Path | None = None,
    *,
    normalization: Any = "imagenet",
    position_rule: str = "plus_0.1",
    device: str | torch.device = "cpu",
    check_finite: bool = True,
) -> FoundEncoder:
    """Build FOUND in eval mode.

    Args:
        model: its DINO, as for `ovseg.models.dino.build_dino`.
        pretrained: weights of DINO, likewise; None leaves all weights random.
        decoder: FOUND's own file, {"decoder": {"weight" (1, C, 1, 1), "bias" (1)}}: a file or a
            URL. None where the file of DINO holds these too, as `decoder.weight` and
            `decoder.bias`.
        normalization: as for `build_dino`.
        position_rule: likewise.
        device: where the encoder goes.
        check_finite: refuse weights with NaN or infinite values.

    Raises:
        ConfigError: an unknown model, or a setting that it does not take.
        CheckpointError: weights that cannot be had, read or fitted.

    Example:
        >>> found = build_found("asset:dino_tiny", None)
        >>> found(torch.zeros(2, 3, 32, 40)).shape
        torch.Size([2, 1, 4, 5])
    """
    vit, name = build_vit(model)
    dino = DinoEncoder(vit, name=name, normalization=normalization, position_rule=position_rule)
    found = FoundEncoder(dino)
    if pretrained is not None:
        path = find_dino_weights(pretrained, name).local()
        state = read_state_dict(path, check_finite=check_finite)
        head, where = _split_decoder(state), path
        if decoder is not None:
            where = local_file(decoder, "FOUND's decoder_weights.pt")
            head = read_state_dict(
                where, check_finite=check_finite, wrappers=("decoder", *WRAPPERS)
            )
        load_vit(vit, state, path, position_rule)
        load_strict(found.decoder, head, where=where)
    dino.weights_hash = hash_state(found.state_dict())
    return found.eval().to(device)


def _split_decoder(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the decoder's weights out of a state dict."""
    names = [name for name in state if name.startswith(_DECODER)]
    return {name.removeprefix(_DECODER): state.pop(name) for name in names}


def coarse_background(
    attention: Tensor,
    keys: Tensor,
    grid: tuple[int, int],
    *,
    threshold: float = 0.3,
    reweight: bool = True,
) -> Tensor:
    """Background as FOUND's training starts from: patches like the least attended one.

    Heads that look at little get a larger weight: with Q_h the share of patches whose attention in
    head h is above the mean over heads and patches, beta_h = log(sum Q / Q_h) (section 3.1).

    Args:
        attention: (B, heads, 1 + n, 1 + n) of DINO's last block, class token first.
        keys: (B, 1 + n, heads * d) of that block.
        grid: (h, w) with h * w = n.
        threshold: cosine above which a patch is like the reference patch.
        reweight: weigh the heads; False takes all alike.

    Returns:
        (B, h, w) float32, 1 for background.
    """
    seen = attention[:, :, 0, 1:]
    per_head = keys[:, 1:].unflatten(2, (seen.shape[1], -1))
    weight = torch.ones_like(seen[:, :, :1])
    if reweight:
        above = (seen > seen.mean((1, 2), keepdim=True)).float().mean(2, keepdim=True) + 1e-10
        weight = (above.sum(1, keepdim=True) / above).log()
    features = functional.normalize((per_head * weight[:, None, :, 0, None]).flatten(2), dim=2)
    least = (weight * seen).sum(1).argmin(1)
    reference = features[torch.arange(len(features), device=features.device), least]
    alike = torch.einsum("bnc,bc->bn", features, reference) > threshold
    return alike.float().unflatten(1, grid)
