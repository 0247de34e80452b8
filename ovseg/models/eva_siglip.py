"""Image towers that open_clip takes from timm: EVA02 and SigLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from open_clip.timm_model import TimmModel
from timm.layers import AttentionPoolLatent, build_rotary_pos_embed
from timm.models.eva import Eva, EvaAttention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.models.image_encoder import (
    BackboneTokens,
    VisionTower,
    dtype_of,
    run_blocks,
)
from ovseg.models.position_embedding import resize_positions


class EvaLastBlock:
    """`LastBlock` over an EVA block: rotary positions, inner norm, gated MLP."""

    def __init__(self, block: Any, rope: Any) -> None:
        self.block = block
        self.rope = rope
        self.heads = block.attn.num_heads

    def norm(self, tokens: Tensor) -> Tensor:
        """First norm."""
        return self.block.norm1(tokens)

    def _part(self, normed: Tensor, index: int) -> Tensor:
        attn = self.block.attn
        if attn.qkv is None:
            return (attn.q_proj, attn.k_proj, attn.v_proj)[index](normed)
        bias = (attn.q_bias, attn.k_bias, attn.v_bias)[index]
        return functional.linear(normed, attn.qkv.weight.chunk(3)[index], bias)

    def query(self, normed: Tensor) -> Tensor:
        """Queries without the rotary embedding, as self-self attention takes them."""
        return self._part(normed, 0)

    def key(self, normed: Tensor) -> Tensor:
        """Keys without the rotary embedding."""
        return self._part(normed, 1)

    def value(self, normed: Tensor) -> Tensor:
        """Values."""
        return self._part(normed, 2)

    def out(self, mixed: Tensor) -> Tensor:
        """Inner attention norm, output projection, and layer scale where there is one."""
        branch = self.block.attn.proj(self.block.attn.norm(mixed))
        return branch if self.block.gamma_1 is None else self.block.gamma_1 * branch

    def project_keys(self, keys: Tensor) -> Tensor:
        """The output projection applied to the keys."""
        return self.block.attn.proj(self.block.attn.norm(keys))

    def forward_no_residual(self, branch: Tensor) -> Tensor:
        """Nothing follows."""
        return branch

    def forward_residual_mlp(self, tokens: Tensor, branch: Tensor) -> Tensor:
        """Residual, then the MLP with its residual."""
        return self._mlp(tokens + branch)[1]

    def _mlp(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        inner = self.block.norm2(tokens)
        branch = self.block.mlp(inner)
        gamma = self.block.gamma_2
        return inner, tokens + (branch if gamma is None else gamma * branch)

    def rotary(self, grid: tuple[int, int]) -> Tensor | None:
        """Rotary table (n, 2d) of a grid, sines before cosines, float32.

        Coordinates are scaled to the pre-training grid; timm itself keeps only its native table.
        """
        if self.rope is None:
            return None
        tables = build_rotary_pos_embed(
            feat_shape=list(grid),
            dim=self.rope.dim,
            max_res=self.rope.max_res,
            temperature=self.rope.temperature,
            linear_bands=self.rope.linear_bands,
            in_pixels=self.rope.in_pixels,
            ref_feat_shape=self.rope.ref_feat_shape,
            device=self.block.norm1.weight.device,
        )
        return torch.cat(tables, dim=-1)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """The block as it was trained."""
        return self.block(tokens, rope=self.rotary(grid))

    def forward_with_ln2(self, tokens: Tensor, rotary: Tensor | None) -> tuple[Tensor, Tensor]:
        """(output of the second norm, output of the block)."""
        branch = self.block.attn(self.block.norm1(tokens), rope=rotary)
        gamma = self.block.gamma_1
        return self._mlp(tokens + (branch if gamma is None else gamma * branch))


class EvaTower(VisionTower):
    """EVA02-CLIP: class token, learned and rotary positions, a linear head with bias."""

    visual: TimmModel
    last: EvaLastBlock
    position_key = "visual.trunk.pos_embed"

    def __init__(self, visual: TimmModel, position_rule: str = "size") -> None:
        """Wrap a tower.

        Raises:
            ConfigError: a variant whose last block cannot be read apart.
        """
        super().__init__(visual, position_rule)
        trunk: Eva = visual.trunk
        self.last = EvaLastBlock(trunk.blocks[-1], trunk.rope)
        _check_eva(trunk)
        _set_sizes(self, visual)

    def run_backbone(
        self, images: Tensor, return_intermediates: Sequence[str] = ()
    ) -> BackboneTokens:
        """Run all blocks but the last."""
        trunk: Eva = self.visual.trunk
        grid = self.grid_of(images)
        rotary = self.last.rotary(grid)
        tokens, intermediates = run_blocks(
            trunk.norm_pre(_embed(self, images, [trunk.cls_token, trunk.reg_token])),
            trunk.blocks[:-1],
            return_intermediates,
            len(trunk.blocks),
            run=lambda block, x: block(x, rope=rotary),
            run_with_ln2=lambda block, x: EvaLastBlock(block, trunk.rope).forward_with_ln2(
                x, rotary
            ),
        )
        return BackboneTokens(tokens, grid, intermediates)

    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Final norm, then the head."""
        trunk: Eva = self.visual.trunk
        normed = trunk.norm(tokens)
        return normed, self.visual.head(trunk.head(trunk.fc_norm(normed)))

    def pooled(self, backbone_tokens: BackboneTokens) -> Tensor:
        """Global embedding by the tower's own pooling."""
        inner: Eva = self.visual.trunk
        tokens = inner.norm(self.last.forward(backbone_tokens.tokens, backbone_tokens.grid))
        return self.visual.head(inner.forward_head(tokens)).float()


class PoolBlock:
    """`LastBlock` over SigLIP's attention pooling, which DeCLIP reads densely (its section 3.1)."""

    def __init__(self, pool: AttentionPoolLatent) -> None:
        self.pool = pool
        self.heads = pool.num_heads

    def norm(self, tokens: Tensor) -> Tensor:
        """The backbone has normed the tokens already."""
        return tokens

    def query(self, normed: Tensor) -> Tensor:
        """Queries of all tokens, in place of the latent one."""
        return self.pool.q(normed)

    def _part(self, normed: Tensor, index: int) -> Tensor:
        kv = self.pool.kv
        bias = None if kv.bias is None else kv.bias.chunk(2)[index]
        return functional.linear(normed, kv.weight.chunk(2)[index], bias)

    def key(self, normed: Tensor) -> Tensor:
        """Keys."""
        return self._part(normed, 0)

    def value(self, normed: Tensor) -> Tensor:
        """Values."""
        return self._part(normed, 1)

    def out(self, mixed: Tensor) -> Tensor:
        """Output projection."""
        return self.pool.proj(mixed)

    def project_keys(self, keys: Tensor) -> Tensor:
        """The output projection applied to the keys."""
        return self.pool.proj(keys)

    def forward_no_residual(self, branch: Tensor) -> Tensor:
        """DeCLIP's end: the residual of the MLP is the normed vector."""
        normed = self.pool.norm(branch)
        return normed + self.pool.mlp(normed)

    def forward_residual_mlp(self, tokens: Tensor, branch: Tensor) -> Tensor:
        """The pooling's own end: the residual of the MLP is the vector before its norm."""
        return branch + self.pool.mlp(self.pool.norm(branch))

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """There is none: the trained pooling gives one vector an image.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            'SigLIP has no read-out "vanilla": its last step pools the image to one vector',
            where="attention_mode",
            fix='use "qq" (DeCLIP) or "value" (MaskCLIP)',
        )


class SiglipTower(VisionTower):
    """SigLIP: no class token, attention pooling; the pooling is what a read-out replaces."""

    visual: TimmModel
    position_key = "visual.trunk.pos_embed"

    def __init__(self, visual: TimmModel, position_rule: str = "size") -> None:
        super().__init__(visual, position_rule)
        self.last = PoolBlock(visual.trunk.attn_pool)
        _set_sizes(self, visual)

    def run_backbone(
        self, images: Tensor, return_intermediates: Sequence[str] = ()
    ) -> BackboneTokens:
        """Run all blocks and the final norm, which stands before the pooling."""
        trunk: VisionTransformer = self.visual.trunk
        tokens, intermediates = run_blocks(
            trunk.norm_pre(_embed(self, images, [trunk.cls_token, trunk.reg_token])),
            trunk.blocks,
            return_intermediates,
            len(trunk.blocks),
            run=lambda block, x: block(x),
            run_with_ln2=_apart,
        )
        return BackboneTokens(trunk.norm(tokens), self.grid_of(images), intermediates)

    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The head of the pooled vector, at every patch."""
        trunk: VisionTransformer = self.visual.trunk
        return tokens, self.visual.head(trunk.head(trunk.fc_norm(tokens)))

    def pooled(self, backbone_tokens: BackboneTokens) -> Tensor:
        """Global embedding by attention pooling."""
        return self.visual.head(self.visual.trunk.forward_head(backbone_tokens.tokens)).float()


def _apart(block: Block, tokens: Tensor) -> tuple[Tensor, Tensor]:
    tokens = tokens + block.ls1(block.attn(block.norm1(tokens)))
    inner = block.norm2(tokens)
    return inner, tokens + block.ls2(block.mlp(inner))


def _check_eva(trunk: Eva) -> None:
    last: Any = trunk.blocks[-1]
    attn = last.attn
    plain = isinstance(attn, EvaAttention) and attn.gate is None
    plain = plain and isinstance(attn.q_norm, nn.Identity)
    if not plain or getattr(trunk, "rope_mixed", False) or trunk.attn_pool is not None:
        raise ConfigError(
            "this variant of EVA cannot be read out patch by patch",
            where="model",
            expected="EVA02-CLIP (EVA02-B-16, EVA02-L-14, EVA02-L-14-336)",
        )


def _set_sizes(tower: VisionTower, visual: TimmModel) -> None:
    trunk = visual.trunk
    tower.patch_size = trunk.patch_embed.patch_size[0]
    tower.width = trunk.embed_dim
    tower.native_grid = tuple(trunk.patch_embed.grid_size)
    tower.prefix = trunk.num_prefix_tokens
    tower.position_prefix = 0 if trunk.no_embed_class else trunk.num_prefix_tokens
    with torch.no_grad():
        probe = torch.zeros(1, 1, trunk.embed_dim, dtype=dtype_of(visual))
        tower.embed_dim = tower.project(probe.to(trunk.pos_embed.device))[1].shape[-1]


def _embed(tower: VisionTower, images: Tensor, prefix: Sequence[Tensor | None]) -> Tensor:
    """Patch tokens with prefix tokens in front and positions added."""
    trunk = tower.visual.trunk
    patches = trunk.patch_embed.proj(images.to(dtype_of(trunk))).flatten(2).transpose(1, 2)
    patches = trunk.patch_embed.norm(patches)
    front = [token.expand(len(patches), -1, -1) for token in prefix if token is not None]
    table = resize_positions(
        trunk.pos_embed[0],
        tower.grid_of(images),
        tower.position_rule,
        native=tower.native_grid,
        prefix=tower.position_prefix,
    )
    if trunk.no_embed_class:
        return torch.cat([*front, patches + table], dim=1)
    return torch.cat([*front, patches], dim=1) + table
