"""CLIP's plain vision transformer (OpenAI's keys), run through open_clip's own sub-modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.models.image_encoder import BackboneTokens, VisionTower, run_blocks
from ovseg.models.position_embedding import resize_positions


class VitBlock:
    """`LastBlock` over a residual attention block with one fused input projection."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        self.block = block
        self.heads = block.attn.num_heads

    def norm(self, tokens: Tensor) -> Tensor:
        """First norm."""
        return self.block.ln_1(tokens)

    def _part(self, normed: Tensor, index: int) -> Tensor:
        attn = self.block.attn
        rows = slice(index * attn.embed_dim, (index + 1) * attn.embed_dim)
        return functional.linear(normed, attn.in_proj_weight[rows], attn.in_proj_bias[rows])

    def query(self, normed: Tensor) -> Tensor:
        """First third of the input projection."""
        return self._part(normed, 0)

    def key(self, normed: Tensor) -> Tensor:
        """Second third of the input projection."""
        return self._part(normed, 1)

    def value(self, normed: Tensor) -> Tensor:
        """Last third of the input projection."""
        return self._part(normed, 2)

    def out(self, mixed: Tensor) -> Tensor:
        """Output projection, and layer scale where there is one."""
        return self.block.ls_1(self.block.attn.out_proj(mixed))

    def project_keys(self, keys: Tensor) -> Tensor:
        """The output projection applied to the keys, as in MaskCLIP's code."""
        return self.block.attn.out_proj(keys)

    def forward_no_residual(self, branch: Tensor) -> Tensor:
        """Nothing follows."""
        return branch

    def forward_residual_mlp(self, tokens: Tensor, branch: Tensor) -> Tensor:
        """Residual, then the MLP with its residual."""
        tokens = tokens + branch
        return tokens + self.block.ls_2(self.block.mlp(self.block.ln_2(tokens)))

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """The block as it was trained."""
        return self.block(tokens)

    def forward_with_ln2(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(output of the second norm, output of the block)."""
        tokens = tokens + self.block.ls_1(self.block.attention(self.block.ln_1(tokens)))
        inner = self.block.ln_2(tokens)
        return inner, tokens + self.block.ls_2(self.block.mlp(inner))


class VitTower(VisionTower):
    """OpenAI-style vision transformer: class token, learned positions, `ln_pre`, `ln_post`."""

    unit_content = True
    visual: VisionTransformer
    position_key = "visual.positional_embedding"
    position_prefix = 1

    def __init__(self, visual: VisionTransformer, position_rule: str = "size") -> None:
        """Wrap a tower.

        Raises:
            ConfigError: a variant whose last block cannot be read apart.
        """
        super().__init__(visual, position_rule)
        blocks = visual.transformer.resblocks
        plain = all(isinstance(block, ResidualAttentionBlock) for block in blocks)
        if visual.attn_pool is not None or not plain or not visual.transformer.batch_first:
            raise ConfigError(
                "this vision transformer has attention pooling or custom blocks",
                where="model",
                expected="a plain CLIP vision transformer, EVA02, SigLIP or CLIP ResNet",
            )
        self.patch_size = visual.patch_size[0]
        self.width = visual.conv1.out_channels
        self.embed_dim = self.width if visual.proj is None else visual.proj.shape[1]
        self.native_grid = tuple(visual.grid_size)
        self.prefix = 1
        self.last = VitBlock(blocks[-1])

    def embed(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, 1 + n, D) that enter the first block, of a grid of n = h * w patches."""
        visual = self.visual
        patches = visual.conv1(images.to(visual.conv1.weight.dtype)).flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        table = visual.positional_embedding
        if grid != self.native_grid:
            table = resize_positions(table, grid, self.position_rule, native=self.native_grid)
        tokens = torch.cat([first, patches], dim=1) + table.to(patches.dtype)
        return visual.ln_pre(visual.patch_dropout(tokens))

    def run_backbone(
        self, images: Tensor, return_intermediates: Sequence[str] = ()
    ) -> BackboneTokens:
        """Run all blocks but the last."""
        blocks = self.visual.transformer.resblocks
        grid = self.grid_of(images)
        tokens, intermediates = run_blocks(
            self.embed(images, grid),
            blocks[:-1],
            return_intermediates,
            len(blocks),
            run=lambda block, x: block(x),
            run_with_ln2=lambda block, x: VitBlock(block).forward_with_ln2(x),
        )
        return BackboneTokens(tokens, grid, intermediates)

    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """`ln_post`, then the projection."""
        normed = self.visual.ln_post(tokens)
        return normed, normed if self.visual.proj is None else normed @ self.visual.proj

    def pooled(self, backbone_tokens: BackboneTokens) -> Tensor:
        """Global embedding by the tower's own pooling."""
        pooled, _ = self.visual._pool(
            self.last.forward(backbone_tokens.tokens, backbone_tokens.grid)
        )
        return (pooled if self.visual.proj is None else pooled @ self.visual.proj).float()
