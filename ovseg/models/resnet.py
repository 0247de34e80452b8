"""CLIP's ResNet: the backbone ends before the attention pooling, which a read-out replaces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from open_clip.modified_resnet import AttentionPool2d, ModifiedResNet
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.models.image_encoder import BackboneTokens, VisionTower
from ovseg.models.last_block import join_heads, split_heads
from ovseg.models.position_embedding import resize_positions

STRIDE = 32


class AttentionPoolBlock:
    """`LastBlock` over CLIP's attention pooling; its positions are left out (MaskCLIP).

    With tokens [mean; patches] the read-out "value" is the pair of 1x1 convolutions of MaskCLIP
    and "vanilla" its variant with attention pooling.
    """

    def __init__(self, pool: AttentionPool2d) -> None:
        self.pool = pool
        self.heads = pool.num_heads

    def norm(self, tokens: Tensor) -> Tensor:
        """There is no norm."""
        return tokens

    def query(self, normed: Tensor) -> Tensor:
        """Queries."""
        return self.pool.q_proj(normed)

    def key(self, normed: Tensor) -> Tensor:
        """Keys."""
        return self.pool.k_proj(normed)

    def value(self, normed: Tensor) -> Tensor:
        """Values."""
        return self.pool.v_proj(normed)

    def out(self, mixed: Tensor) -> Tensor:
        """Projection to the joint space."""
        return self.pool.c_proj(mixed)

    def project_keys(self, keys: Tensor) -> Tensor:
        """The keys themselves."""
        return keys

    def forward_no_residual(self, branch: Tensor) -> Tensor:
        """Nothing follows."""
        return branch

    def forward_residual_mlp(self, tokens: Tensor, branch: Tensor) -> Tensor:
        """There is neither residual nor MLP."""
        return branch

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Full attention among the mean and the patches."""
        parts = (self.query(tokens), self.key(tokens), self.value(tokens))
        q, k, v = (split_heads(part, self.heads) for part in parts)
        return self.out(join_heads(functional.scaled_dot_product_attention(q, k, v)))


def with_mean(features: Tensor) -> Tensor:
    """Tokens [mean; patches] (B, 1 + h * w, C) of a map (B, C, h, w)."""
    patches = features.flatten(2).transpose(1, 2)
    return torch.cat([patches.mean(dim=1, keepdim=True), patches], dim=1)


class ResNetTower(VisionTower):
    """CLIP's modified ResNet (RN50, RN101, RN50x4 ...); the mean stands for the class token."""

    visual: ModifiedResNet
    position_key = "visual.attnpool.positional_embedding"
    position_prefix = 1

    def __init__(self, visual: ModifiedResNet, position_rule: str = "size") -> None:
        super().__init__(visual, position_rule)
        self.patch_size = STRIDE
        self.width = visual.attnpool.v_proj.in_features
        self.embed_dim = visual.attnpool.c_proj.out_features
        side = visual.image_size
        height, width = (side, side) if isinstance(side, int) else side
        self.native_grid = (height // STRIDE, width // STRIDE)
        self.prefix = 1
        self.last = AttentionPoolBlock(visual.attnpool)

    def run_backbone(
        self, images: Tensor, return_intermediates: Sequence[str] = ()
    ) -> BackboneTokens:
        """Run everything before the attention pooling.

        Raises:
            ConfigError: `return_intermediates` is not empty.
        """
        if return_intermediates:
            raise ConfigError(
                "a ResNet has no inner tokens to capture", where="return_intermediates"
            )
        visual = self.visual
        grid = self.grid_of(images)
        x = visual.stem(images.to(visual.conv1.weight.dtype))
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        return BackboneTokens(with_mean(x), grid)

    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output is in the joint space already."""
        return tokens, tokens

    def pooled(self, backbone_tokens: BackboneTokens) -> Tensor:
        """Global embedding: attention pooling with its positions."""
        table = resize_positions(
            self.visual.attnpool.positional_embedding,
            backbone_tokens.grid,
            self.position_rule,
            native=self.native_grid,
        )
        return self.last.forward(backbone_tokens.tokens + table, backbone_tokens.grid)[:, 0].float()
