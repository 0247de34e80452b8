"""CLIP-DINOiser (Wysoczanska et al., ECCV 2024): MaskCLIP's features, pooled among alike patches.

Which patches are alike is told by a small convolution over CLIP's own inner tokens ("trained"), or
by DINO itself ("direct"). Likewise the foreground: by a second convolution, or by FOUND.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError
from ovseg.heads.affinity import affinity, affinity_pool, cut_below
from ovseg.heads.base import WindowHead, check_temperature, cosines, name_weights
from ovseg.inference.head_input import HeadInput
from ovseg.inference.scores import (
    BackgroundOverriddenScores,
    CosineScores,
    ScoreGrid,
    best_scores,
    join_windows,
)
from ovseg.inference.windows import window_batches
from ovseg.models.image_encoder import to_map
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.registry import register_head
from ovseg.utils.shapes import size_of
from ovseg.weights.load import load_strict
from ovseg.weights.read import read_shapes, read_state_dict
from ovseg.weights.sources import local_file

if TYPE_CHECKING:
    from ovseg.models.clip import ClipEncoder
    from ovseg.models.found import FoundEncoder
    from ovseg.models.image_encoder import BackboneTokens

__all__ = ["HEAD_KEYS", "MODES", "ClipDinoiser", "is_head_file"]

MODES = ("trained", "direct")
FEATS_TYPES = ("v", "k", "q")

HEAD_KEYS = ("bkg_decoder.bias", "bkg_decoder.weight", "obj_proj.bias", "obj_proj.weight")
"""What a checkpoint of the trained mode holds: no more and no less."""


@register_head("ClipDinoiserHead")
class ClipDinoiser(WindowHead):
    """Cosines of pooled patch features with the words, as probabilities.

    Every patch gets the mean of MaskCLIP's features over all patches, weighted by affinity; then
    softmax(temperature * cosine). With cleaning, doubtful patches without an object become
    background (section 3.4 of the paper).

    Args:
        mode: "trained" asks two convolutions over CLIP's tokens for affinity and foreground;
            "direct" asks DINO and FOUND.
        pretrained: weights of the two convolutions, as `find_file` takes them; None leaves them
            random, for training.
        in_channels: channels of the tokens that the convolutions read: the width of CLIP's image
            encoder, or of the joint space with `feats_idx="final"`.
        channels: output channels of the affinity convolution.
        feats_idx: block whose second norm the convolutions read, -3 is the third from the end;
            "final" reads MaskCLIP's features.
        gamma: affinities below this count as 0; None or 0 for all.
        delta: patches whose best probability is below this are doubtful; in [0, 1].
        clean_background: "auto" cleans where the vocabulary has a background class, unless its
            other names cover what a background is made of (`Vocabulary.covered_background`; the
            published rule); True wherever there is a background class, False never.
        feats_type: what of DINO's last block is compared: "v", "k" or "q".
        dino: arguments of `ovseg.models.dino.build_dino`, for the direct mode.
        found: arguments of `ovseg.models.found.build_found`, likewise; None cleans nothing.
        temperature: factor of the cosines inside the softmax.

    Raises:
        ConfigError: a setting out of its range, or towers that the mode needs or does not take.
        CheckpointError: weights that cannot be had, read or fitted.
    """

    score_type = "probs"

    def __init__(
        self,
        mode: str = "trained",
        *,
        pretrained: str | Path | None = None,
        in_channels: int = 768,
        channels: int = 256,
        feats_idx: int | str = -3,
        gamma: float | None = 0.2,
        delta: float = 0.99,
        clean_background: str | bool = "auto",
        feats_type: str = "v",
        dino: Mapping[str, Any] | None = None,
        found: Mapping[str, Any] | None = None,
        temperature: float = 100.0,
    ) -> None:
        super().__init__()
        check_temperature(self.score_type, temperature)
        _check_options(mode, feats_idx, gamma, delta, clean_background, feats_type)
        _check_towers(mode, pretrained, dino, found, clean_background)
        self.mode = mode
        self.pretrained = pretrained
        self.in_channels = in_channels
        self.channels = channels
        self.feats_idx = feats_idx
        self.gamma = gamma
        self.delta = delta
        self.clean_background = clean_background
        self.feats_type = feats_type
        self.dino = dino
        self.found = found
        self.temperature = temperature
        inner = mode == "trained" and feats_idx != "final"
        self.return_intermediates = (f"ln_2@{feats_idx}",) if inner else ()
        if mode == "trained":
            self._add_convolutions()
        else:
            self._add_towers()

    @classmethod
    def route_weights(cls, spec: dict[str, Any], path: Path) -> None:
        """Tell by the keys of a file whether it is for the convolutions or for CLIP."""
        ours = "pretrained" in spec["decode_head"] and is_head_file(path)
        name_weights(spec, "decode_head" if ours else "backbone", path)

    def _add_convolutions(self) -> None:
        self.obj_proj = nn.Conv2d(
            self.in_channels, self.channels, 3, padding=1, padding_mode="replicate"
        )
        self.bkg_decoder = nn.Conv2d(self.in_channels, 1, 1)
        if self.pretrained is not None:
            path = local_file(self.pretrained, "a CLIP-DINOiser checkpoint")
            load_strict(self, read_state_dict(path), where=path, hint=lambda: _HINT)

    def _add_towers(self) -> None:
        from ovseg.models.dino import build_dino
        from ovseg.models.found import build_found

        self.dino_tower = build_dino(**(self.dino or {}))
        self.found_tower = None if self.found is None else build_found(**self.found)
        self.requires_grad_(False)

    def check(self, clip: ClipEncoder) -> None:
        """Refuse an encoder of another width than the convolutions have.

        Raises:
            ConfigError: it is.
        """
        width = clip.embed_dim if self.feats_idx == "final" else clip.tower.width
        if self.mode == "trained" and width != self.in_channels:
            raise ConfigError(
                f"the convolutions read {self.in_channels} channels, {clip.name} gives {width}",
                where="decode_head.in_channels",
                fix=f"set in_channels={width}, and choose weights trained for this encoder",
            )

    def cleans_background(self, vocabulary: Vocabulary | None) -> bool:
        """Whether doubtful patches without an object become background."""
        if self.clean_background is False or vocabulary is None or vocabulary.background is None:
            return False
        if self.mode == "direct" and self.found is None:
            return False
        return self.clean_background is True or not vocabulary.covered_background

    def intermediate_map(
        self, clip: ClipEncoder, backbone_tokens: BackboneTokens, features: Tensor
    ) -> Tensor:
        """Return the map (B, in_channels, h, w) that the convolutions read.

        Args:
            clip: the encoder.
            backbone_tokens: what its backbone gave, with `return_intermediates`.
            features: (B, E, h, w), MaskCLIP's features.

        Raises:
            ConfigError: the backbone was run without `return_intermediates`.
        """
        if self.feats_idx == "final":
            return features
        (name,) = self.return_intermediates
        if name not in backbone_tokens.intermediates:
            raise ConfigError(
                "the backbone does not keep the tokens that the head reads",
                where="backbone.return_intermediates",
                fix=f"set return_intermediates={list(self.return_intermediates)}",
            )
        return to_map(
            backbone_tokens.intermediates[name][:, clip.tower.prefix :], backbone_tokens.grid
        )

    def background_logits(self, inner: Tensor) -> Tensor:
        """Return the second convolution's (B, 1, h, w), positive where there is an object."""
        return self.bkg_decoder(functional.normalize(inner, dim=1))

    def pooled_features(
        self, clip: ClipEncoder, backbone_tokens: BackboneTokens, foreground: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Pool the features of a batch of windows.

        Args:
            clip: the encoder.
            backbone_tokens: what its backbone gave, with `return_intermediates`.
            foreground: also tell the foreground.

        Returns:
            Pooled features (B, E, h, w), and where there is an object, (B, 1, h, w) bool, or None.
        """
        features = clip.dense_features(backbone_tokens, "value").features
        if self.mode == "trained":
            inner = self.intermediate_map(clip, backbone_tokens, features)
            alike = self.obj_proj(inner)
            seen = self.background_logits(inner) > 0 if foreground else None
        else:
            images = _full_patches(
                cast("Tensor", backbone_tokens.images).to(features.device), clip.patch_size
            )
            alike = self.dino_tower(images, self.feats_type)
            seen = None
            if foreground:
                found = cast("FoundEncoder", self.found_tower)  # else nothing is cleaned
                seen = found.foreground(images, size_of(alike)) > 0.5
        correlations = cut_below(affinity(alike), self.gamma)
        return affinity_pool(features, correlations, size_of(alike)), seen

    def patch_features(self, clip: ClipEncoder, backbone_tokens: BackboneTokens) -> Tensor:
        """Return pooled features (B, E, h, w)."""
        return self.pooled_features(clip, backbone_tokens)[0]

    def patch_scores(
        self,
        clip: ClipEncoder,
        backbone_tokens: BackboneTokens,
        text_embeddings: Tensor,
        vocabulary: Vocabulary | None = None,
    ) -> Tensor:
        """Return probabilities (B, Q, h, w) of a batch of windows."""
        clean = self.cleans_background(vocabulary)
        features, seen = self.pooled_features(clip, backbone_tokens, clean)
        probs = (self.temperature * cosines(features, text_embeddings)).softmax(1)
        if not clean or vocabulary is None or seen is None:
            return probs
        doubtful = (probs.amax(1, keepdim=True) < self.delta) & ~seen
        certain = _background_prompts(vocabulary, text_embeddings.device).view(1, -1, 1, 1)
        return probs.masked_fill(doubtful & certain, 1.0)

    def forward(self, inputs: HeadInput) -> ScoreGrid:
        """Score the patches of all windows; see `Head`."""
        clip, vocabulary = inputs.clip, inputs.vocabulary
        grid, text_embeddings = inputs.grid, inputs.text_embeddings
        clean = self.cleans_background(vocabulary)
        looks = [
            self.pooled_features(clip, clip.run_backbone(windows, self.return_intermediates), clean)
            for _, windows in window_batches(inputs.image_tensor, grid, inputs.batch)
        ]
        features = join_windows(torch.cat([pooled for pooled, _ in looks]), grid)
        patch = clip.patch_size if self.mode == "trained" else self.dino_tower.patch_size
        scores = CosineScores(features, text_embeddings, softmax=self.temperature, patch=patch)
        if not clean or vocabulary is None:
            return scores
        seen = join_windows(torch.cat([cast("Tensor", seen) for _, seen in looks]), grid)[0]
        doubtful = (best_scores(scores) < self.delta) & ~seen
        return BackgroundOverriddenScores(
            scores, doubtful, _background_prompts(vocabulary, text_embeddings.device)
        )


def is_head_file(path: str | Path) -> bool:
    """Whether a file of weights is for the head's convolutions, by its keys.

    Raises:
        CheckpointError: it cannot be read.
    """
    return not set(HEAD_KEYS).isdisjoint(read_shapes(path))


_HINT = (
    f"the trained mode takes a file with exactly {', '.join(HEAD_KEYS)}, trained for this "
    "in_channels and channels"
)


def _full_patches(images: Tensor, patch: int) -> Tensor:
    """Pad with black right and below to multiples of CLIP's patch."""
    height, width = images.shape[-2:]
    return functional.pad(images, (0, -width % patch, 0, -height % patch))


def _background_prompts(vocabulary: Vocabulary, device: torch.device) -> Tensor:
    """(Q) bool: the prompts of the background class, all synonyms alike."""
    return torch.tensor(vocabulary.prompt_class, device=device) == cast(
        "int", vocabulary.background
    )


def _check_options(
    mode: str,
    feats_idx: int | str,
    gamma: float | None,
    delta: float,
    clean_background: str | bool,
    feats_type: str,
) -> None:
    whole = isinstance(feats_idx, int) and not isinstance(feats_idx, bool)
    checks = {
        "mode": (mode, mode in MODES, " or ".join(MODES)),
        "feats_idx": (feats_idx, whole or feats_idx == "final", "a block's number, or final"),
        "gamma": (gamma, gamma is None or 0 <= gamma <= 1, "from 0 to 1, or None"),
        "delta": (delta, 0 <= delta <= 1, "from 0 to 1"),
        "clean_background": (
            clean_background,
            clean_background == "auto" or isinstance(clean_background, bool),
            "auto, True or False",
        ),
        "feats_type": (feats_type, feats_type in FEATS_TYPES, ", ".join(FEATS_TYPES)),
    }
    for name, (value, right, expected) in checks.items():
        if not right:
            raise ConfigError(f"{name} {value!r}", where=f"decode_head.{name}", expected=expected)


def _check_towers(
    mode: str,
    pretrained: str | Path | None,
    dino: Mapping[str, Any] | None,
    found: Mapping[str, Any] | None,
    clean_background: str | bool,
) -> None:
    """Refuse towers or weights that the mode does not have, and an absence of those it needs."""
    if mode == "trained":
        if dino is not None or found is not None:
            raise ConfigError(
                "the trained mode asks no DINO and no FOUND",
                where="decode_head",
                fix='leave dino and found out, or set mode="direct"',
            )
        return
    if pretrained is not None:
        raise ConfigError(
            "the direct mode has no convolutions to load weights into",
            where="decode_head.pretrained",
            fix='leave it out, or set mode="trained"',
        )
    if dino is None:
        raise ConfigError(
            "the direct mode asks DINO, and none is named",
            where="decode_head.dino",
            fix='for example dino=dict(model="vit_base_patch16_224", pretrained="dino")',
        )
    if found is None and clean_background is True:
        raise ConfigError(
            "cleaning the background in direct mode asks FOUND, and none is named",
            where="decode_head.found",
            fix="name one, or set clean_background=False",
        )
