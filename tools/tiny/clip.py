"""Train the embedded tiny CLIP on captions of drawn images, crops and regions.

The signal is the contrastive loss alone. Three kinds of pairs feed it: a view of a scene and a
caption of what is visible there; a region of the view (features pooled over its patches) and a
caption of that region; and, text against text, a glossary that tells the tower which words mean
the same. No loss ever sees a pixel's class.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from open_clip import CLIP
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ovseg.evaluation.confusion import IoUCounts
from ovseg.scenes import CLASSES
from ovseg.scenes.captions import glossary
from ovseg.scenes.stuff import STUFF
from ovseg.training.contrast import image_caption_loss, region_caption_loss
from tools.tiny.caption_batches import MEAN, STD, CaptionBatch
from tools.tiny.scene_store import SceneStore

__all__ = ["TinyClipLoss", "encode_text", "validate", "view_features"]


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


def view_features(
    visual: nn.Module,
    images: Tensor,
    reader: Tensor | None = None,
    residual: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Global and dense features of images of the tower's own size.

    Args:
        visual: open_clip's vision tower.
        images: (B, 3, S, S) normalized.
        reader: (B,) long, the token that stands for the image; None: the class token, 0.
        residual: (B,) in {0, 1}, whether the value path keeps its residual; None: everywhere.

    Returns:
        (B, E) embedding of the reader and (B, n, E) dense features of the value path
        (MaskCLIP: residual and MLP kept, no attention), neither of unit length.
    """
    tokens = visual.conv1(images).flatten(2).transpose(1, 2)
    first = visual.class_embedding.to(tokens.dtype).expand(len(images), 1, -1)
    tokens = torch.cat([first, tokens], dim=1) + visual.positional_embedding
    tokens = visual.ln_pre(tokens)
    *trunk, last = visual.transformer.resblocks
    for block in trunk:
        tokens = _block(block, tokens)
    normed = last.ln_1(tokens)
    picked = (
        torch.arange(len(images)),
        torch.zeros(len(images)).long() if reader is None else reader,
    )
    whole = tokens[picked][:, None]
    whole = whole + _attend(last, normed[picked][:, None], normed)
    value = F.linear(
        normed[:, 1:], last.attn.in_proj_weight.chunk(3)[2], last.attn.in_proj_bias.chunk(3)[2]
    )
    kept = tokens[:, 1:] if residual is None else tokens[:, 1:] * residual[:, None, None]
    dense = kept + last.attn.out_proj(value)
    out = torch.cat([whole, dense], dim=1)
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
        words = glossary()
        self.words = [word for word, _ in words]
        self.meaning = torch.tensor([CLASSES.index(noun) for _, noun in words])

    def _texts(self, prompts: list[str]) -> Tensor:
        tokens = self.tokenizer(prompts)
        tokens = tokens[:, : int((tokens != 0).sum(dim=1).max())]
        device = self.model.logit_scale.device
        return F.normalize(encode_text(self.model, tokens.to(device)).float(), dim=-1)

    def forward(self, batch: CaptionBatch) -> dict[str, Tensor]:
        """Parts ``image``, ``region`` and ``glossary`` of the loss, each a scalar."""
        scale = self.model.logit_scale.exp().clamp(max=100)
        whole, dense = view_features(self.model.visual, batch.images, batch.reader, batch.residual)
        pooled = torch.einsum("rn,rne->re", batch.shares, dense.float()[batch.view])
        groups = (batch.captions, batch.texts, CLASSES, [*self.words, *batch.pairs])
        prompts = [prompt for group in groups for prompt in group]
        captions, texts, nouns, words = self._texts(prompts).split([len(g) for g in groups])
        meaning = torch.cat([self.meaning.to(words.device), batch.pair_class])
        return {
            "image": image_caption_loss(F.normalize(whole.float(), dim=-1), captions, scale),
            "region": region_caption_loss(
                F.normalize(pooled, dim=-1),
                texts,
                batch.target,
                batch.true,
                scale,
                unknown=batch.unknown,
            ),
            "glossary": F.cross_entropy(scale.detach() * words @ nouns.detach().T, meaning),
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
    """Quick mIoU of the value path, windows side by side, one prompt a class, for the log.

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
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    (side, _), (patch, _) = model.visual.image_size, model.visual.patch_size
    counts = IoUCounts(len(CLASSES))
    for index in range(count):
        pixels = torch.from_numpy(store.images[index].copy()).permute(2, 0, 1) / 255
        windows = ((pixels - mean) / std).unfold(1, side, side).unfold(2, side, side)
        rows, columns = windows.shape[1:3]
        windows = windows.permute(1, 2, 0, 3, 4).flatten(0, 1)
        dense = F.normalize(view_features(model.visual, windows.to(device))[1], dim=-1)
        maps = (dense @ text.T).transpose(1, 2).unflatten(2, (side // patch, side // patch))
        maps = F.interpolate(maps, (side, side), mode="bilinear").argmax(dim=1).cpu()
        labels = maps.unflatten(0, (rows, columns)).transpose(1, 2).flatten(0, 1).flatten(1)
        counts.update(labels.numpy(), _labels(store, index))
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
