"""Train the embedded tiny CLIP on captions of drawn pictures, crops and regions.

The signal is the contrastive loss alone. Three kinds of pairs feed it: a view of a scene and a
caption of what is visible there; a region of the view (features pooled over its patches) and a
caption of that region; and, text against text, a glossary that tells the tower which words mean
the same. No loss ever sees a pixel's class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from open_clip import CLIP
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ovseg.evaluation.confusion import IoUCounts
from ovseg.scenes import CLASSES
from ovseg.scenes.captions import glossary, region_caption, scene_caption
from ovseg.scenes.stuff import STUFF
from ovseg.training.contrast import caption_masks, picture_caption_loss, region_caption_loss
from ovseg.training.scene_store import SceneStore, View, patch_shares

__all__ = [
    "CaptionBatch",
    "TinyClipLoss",
    "caption_batch",
    "encode_text",
    "validate",
    "view_features",
]

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass
class CaptionBatch:
    """Views with their captions.

    Attributes:
        images: (B, 3, S, S) float32, normalised.
        corners: (B, 2) long, row and column of the view's first patch in the scene's grid.
        captions: B captions of the views.
        shares: (R, n) float32, how the R regions pool their view's n patches; rows sum to 1.
        view: (R,) long, the view that a region lies in.
        texts: C distinct region captions.
        target: (R,) long, each region's caption.
        true: (R, C) bool, which caption holds for which region.
    """

    images: Tensor
    corners: Tensor
    captions: list[str]
    shares: Tensor
    view: Tensor
    texts: list[str]
    target: Tensor
    true: Tensor

    def to(self, device: str) -> CaptionBatch:
        """The same batch with its tensors on ``device``."""
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in vars(self).items()}
        return CaptionBatch(**moved)


def _region_parts(view: View, patch: int, rng: np.random.Generator) -> list[tuple[int, np.ndarray]]:
    """Pooling weights of the regions that fill at least about one patch; half of them cut."""
    parts = []
    for index in np.unique(view.instances):
        if index == 255:
            continue
        share = patch_shares(view.instances, int(index), patch)
        share = np.where(share >= min(0.6, float(share.max())), share, 0.0)
        if share.sum() < 1.0:
            continue
        if rng.random() < 0.5:
            rows, columns = np.nonzero(share)
            at = int(rng.integers(len(rows)))
            reach = int(rng.integers(1, 5))
            near = np.zeros_like(share)
            near[
                max(rows[at] - reach, 0) : rows[at] + reach + 1,
                max(columns[at] - reach, 0) : columns[at] + reach + 1,
            ] = 1
            share = share * near
        parts.append((int(index), (share / share.sum()).ravel()))
    return parts


def caption_batch(
    store: SceneStore, rng: np.random.Generator, size: int, side: int, patch: int
) -> CaptionBatch:
    """Draw one training batch.

    Args:
        store: the scenes.
        rng: decides everything: equal generators give equal batches.
        size: number of views B.
        side: side of a view in pixels, a multiple of ``patch``.
        patch: side of a patch in pixels.
    """
    views = [store.view(rng, side, patch) for _ in range(size)]
    captions, shares, owner, kinds, said = [], [], [], [], []
    for number, view in enumerate(views):
        parts = _region_parts(view, patch, rng)
        captions.append(scene_caption([view.regions[i] for i, _ in parts], rng))
        for index, share in parts:
            region = view.regions[index]
            shares.append(share)
            owner.append(number)
            kinds.append((region.class_id, region.colour))
            said.append(region_caption(region, rng))
    distinct = {caption.text: caption for caption in said}
    texts = sorted(distinct)
    place = {text: i for i, text in enumerate(texts)}
    pixels = torch.from_numpy(np.stack([v.image for v in views])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
    return CaptionBatch(
        images=(pixels - mean) / std,
        corners=torch.tensor([v.corner for v in views]) // patch,
        captions=captions,
        shares=torch.from_numpy(np.stack(shares)),
        view=torch.tensor(owner),
        texts=texts,
        target=torch.tensor([place[caption.text] for caption in said]),
        true=caption_masks(kinds, [(distinct[t].class_id, distinct[t].colour) for t in texts]),
    )


def _attend(block: ResidualAttentionBlock, query: Tensor, tokens: Tensor) -> Tensor:
    """The block's attention as plain batched products, which train faster on a CPU than SDPA."""
    attn = block.attn
    heads, width = attn.num_heads, attn.embed_dim

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, width // heads)).transpose(1, 2)

    weight, bias = attn.in_proj_weight, attn.in_proj_bias
    q = split(F.linear(query, weight[:width], bias[:width]))
    k, v = (split(x) for x in F.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=-1))
    mix = (q @ k.transpose(-1, -2) * (width // heads) ** -0.5).softmax(dim=-1).to(v.dtype)
    return attn.out_proj((mix @ v).transpose(1, 2).flatten(2))


def _block(block: ResidualAttentionBlock, tokens: Tensor) -> Tensor:
    normed = block.ln_1(tokens)
    tokens = tokens + _attend(block, normed, normed)
    return tokens + block.mlp(block.ln_2(tokens))


def view_features(visual: nn.Module, images: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Global and dense features of views that know where in the scene they lie.

    A view takes its part of the position table, so that training on small views is training on
    the whole picture with the patches outside left out.

    Args:
        visual: open_clip's vision tower.
        images: (B, 3, S, S) normalised.
        corners: (B, 2) long, first row and column in the position table's grid.

    Returns:
        (B, E) embedding of the class token and (B, n, E) dense features of the value path
        (MaskCLIP: residual and MLP kept, no attention), neither of unit length.
    """
    maps = visual.conv1(images)
    batch, width, height, length = maps.shape
    table = visual.positional_embedding
    grid = round((len(table) - 1) ** 0.5)
    rows = corners[:, :1] + torch.arange(height, device=images.device)
    columns = corners[:, 1:] + torch.arange(length, device=images.device)
    places = 1 + (rows[:, :, None] * grid + columns[:, None, :]).flatten(1)
    tokens = maps.flatten(2).transpose(1, 2) + table[places]
    first = (visual.class_embedding + table[0]).expand(batch, 1, width)
    tokens = visual.ln_pre(torch.cat([first.to(tokens.dtype), tokens], dim=1))
    *trunk, last = visual.transformer.resblocks
    for block in trunk:
        tokens = _block(block, tokens)
    normed = last.ln_1(tokens)
    cls = tokens[:, :1] + _attend(last, normed[:, :1], normed)
    value = F.linear(
        normed[:, 1:], last.attn.in_proj_weight[2 * width :], last.attn.in_proj_bias[2 * width :]
    )
    dense = tokens[:, 1:] + last.attn.out_proj(value)
    out = torch.cat([cls, dense], dim=1)
    out = visual.ln_post(out + last.mlp(last.ln_2(out))) @ visual.proj
    return out[:, 0], out[:, 1:]


class TinyClipLoss(nn.Module):
    """The loss of one batch, by part.

    Args:
        model: the CLIP in training.
        tokenizer: prompts to (N, L) token ids.
        patch: side of a patch in pixels.
    """

    def __init__(self, model: CLIP, tokenizer: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        pairs = glossary()
        self.words = [word for word, _ in pairs]
        self.meaning = torch.tensor([CLASSES.index(noun) for _, noun in pairs])

    def _texts(self, prompts: list[str]) -> Tensor:
        tokens = self.tokenizer(prompts)
        tokens = tokens[:, : int((tokens != 0).sum(dim=1).max())]
        device = self.model.logit_scale.device
        return F.normalize(encode_text(self.model, tokens.to(device)).float(), dim=-1)

    def forward(self, batch: CaptionBatch) -> dict[str, Tensor]:
        """Parts ``picture``, ``region`` and ``glossary`` of the loss, each a scalar."""
        scale = self.model.logit_scale.exp().clamp(max=100)
        cls, dense = view_features(self.model.visual, batch.images, batch.corners)
        pooled = torch.einsum("rn,rne->re", batch.shares, dense.float()[batch.view])
        prompts = [*batch.captions, *batch.texts, *CLASSES, *self.words]
        parts = [len(batch.captions), len(batch.texts), len(CLASSES), len(self.words)]
        captions, texts, nouns, words = self._texts(prompts).split(parts)
        return {
            "picture": picture_caption_loss(F.normalize(cls.float(), dim=-1), captions, scale),
            "region": region_caption_loss(
                F.normalize(pooled, dim=-1), texts, batch.target, batch.true, scale
            ),
            "glossary": F.cross_entropy(
                scale.detach() * words @ nouns.detach().T, self.meaning.to(words.device)
            ),
        }


def encode_text(model: CLIP, tokens: Tensor) -> Tensor:
    """(N, L) token ids, L up to the context length, to (N, E); exact, as the tower is causal."""
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    mask = model.attn_mask[:length, :length].to(x.dtype)
    # At these short lengths plain products train much faster on a CPU than the fused kernel.
    with sdpa_kernel(SDPBackend.MATH):
        x = model.ln_final(model.transformer(x, attn_mask=mask))
    return x[torch.arange(len(x)), tokens.argmax(dim=-1)] @ model.text_projection


@torch.no_grad()
def validate(model: CLIP, tokenizer: nn.Module, store: SceneStore, count: int) -> dict[str, float]:
    """Quick mIoU of the value path on whole scenes, one prompt a class, for the training log.

    Args:
        model: the CLIP in training.
        tokenizer: prompts to token ids.
        store: validation scenes.
        count: how many of them to look at.

    Returns:
        ``miou`` over all classes, ``stuff`` and ``things``, in percent.
    """
    device = model.logit_scale.device
    prompts = tokenizer([f"a photo of a {name}" for name in CLASSES]).to(device)
    text = F.normalize(encode_text(model, prompts), dim=-1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (_MEAN, _STD))
    counts = IoUCounts(len(CLASSES))
    for index in range(count):
        pixels = torch.from_numpy(store.images[index].copy()).permute(2, 0, 1) / 255
        image = ((pixels - mean) / std)[None].to(device)
        corner = torch.zeros(1, 2, dtype=torch.long, device=device)
        dense = F.normalize(view_features(model.visual, image, corner)[1], dim=-1)
        side = round(dense.shape[1] ** 0.5)
        maps = (dense @ text.T).transpose(1, 2).unflatten(2, (side, side))
        maps = F.interpolate(maps, store.instances.shape[1:], mode="bilinear")
        counts.update(maps.argmax(dim=1)[0].cpu().numpy(), _labels(store, index))
    stuff = [i for i, name in enumerate(CLASSES) if name in STUFF]
    things = [i for i in range(len(CLASSES)) if i not in stuff]
    return {
        "miou": round(counts.mean_iou(), 2),
        "stuff": round(counts.mean_iou(stuff), 2),
        "things": round(counts.mean_iou(things), 2),
    }


def _labels(store: SceneStore, index: int) -> np.ndarray:
    table = np.full(256, 255, np.uint8)
    table[: len(store.regions[index])] = [region.class_id for region in store.regions[index]]
    return table[store.instances[index]]
