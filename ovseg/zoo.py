"""The models that come with a name: plain data, no torch.

An entry says what a model is (`spec`, the data that `ovseg.pipeline.build_pipeline` takes), which
weights it needs, where they come from and under which licence. Weights that do not come with the
package are fetched on first use; a local file always works instead (`checkpoint=`, `--checkpoint`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ovseg.errors import ConfigError

__all__ = ["DEFAULT_MODEL", "MODELS", "ModelEntry", "Weights", "entry", "list_models"]

ASSETS = Path(__file__).parent / "assets"
_OPENAI = "https://openaipublic.azureedge.net/clip/models"
_DINO = "https://dl.fbaipublicfiles.com/dino"


@dataclass(frozen=True)
class Weights:
    """One file of weights.

    Attributes:
        name: what it is, for people.
        licence: licence of the weights.
        size: size of the file, for people.
        asset: file name under `ovseg/assets`, when it comes with the package.
        tag: tag of open_clip that names these weights.
        hub: repository of the Hugging Face hub that holds them.
        files: names inside the repository, the preferred one first; None for those of open_clip.
        url: address of the file as first published.
        sha256: published SHA-256 of the file behind `url`, where there is one.
    """

    name: str
    licence: str
    size: str
    asset: str | None = None
    tag: str | None = None
    hub: str | None = None
    files: tuple[str, ...] | None = None
    url: str | None = None
    sha256: str | None = None

    def path(self) -> Path | None:
        """Return the local file when it is there, without any network access."""
        if self.asset is not None:
            path = ASSETS / self.asset
            return path if path.is_file() else None
        return _in_caches(self)

    def source(self) -> str:
        """Say where the file comes from."""
        if self.asset is not None:
            return "part of the package"
        return self.url or f"https://huggingface.co/{self.hub}"


@dataclass(frozen=True)
class ModelEntry:
    """A named model: method, weights and the plain data its pipeline is built from."""

    name: str
    method: str
    summary: str
    weights: tuple[Weights, ...]
    spec: Mapping[str, Any]

    def fresh_spec(self) -> dict[str, Any]:
        """Return a copy of the spec that may be changed."""
        return deepcopy(dict(self.spec))

    def needs(self) -> str:
        """Say what has to be fetched before the model can run."""
        fetched = [w for w in self.weights if w.asset is None]
        return ", ".join(f"{w.name} ({w.size})" for w in fetched) or "nothing, it is bundled"

    def licence(self) -> str:
        """Return the licences of the weights."""
        return ", ".join(dict.fromkeys(w.licence for w in self.weights))


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the models that match a wildcard pattern, sorted.

    Args:
        pattern: as in file names: `*` any text, `?` one letter, `[ab]` one of them.

    Example:
        >>> list_models("maskclip-t*")
        ['maskclip-tiny']
    """
    return sorted(name for name in MODELS if fnmatchcase(name, pattern))


def entry(name: str) -> ModelEntry:
    """Return the entry of a model.

    Raises:
        ConfigError: no model has this name; the message gives the closest ones.
    """
    if name in MODELS:
        return MODELS[name]
    close = get_close_matches(name, MODELS, n=3, cutoff=0.4)
    raise ConfigError(
        f"unknown model {name!r}",
        expected=f"one like {', '.join(close)}" if close else None,
        fix="'ovseg models' lists all names; a path to a configuration file works too",
    )


def _in_caches(weights: Weights) -> Path | None:
    """Find a weights file where `ovseg.encoders.fetch` looks for it, without asking the hub."""
    from ovseg.encoders.fetch import CLIP_FILES, Remote

    files = weights.files or CLIP_FILES
    target = Remote(hub=weights.hub, files=files, url=weights.url).target()
    if target.is_file():
        return target
    if weights.hub is None:
        return None
    root = os.environ.get("HF_HUB_CACHE") or (
        Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
    )
    snapshots = Path(root) / f"models--{weights.hub.replace('/', '--')}" / "snapshots"
    return next((path for name in files for path in sorted(snapshots.glob(f"*/{name}"))), None)


_TINY = Weights(
    name="tiny CLIP of the drawn world",
    licence="Apache-2.0",
    size="9 MB",
    asset="clip_tiny.safetensors",
)
_OPENAI_B16 = Weights(
    name="OpenAI CLIP ViT-B/16",
    licence="MIT",
    size="335 MB",
    tag="openai",
    hub="timm/vit_base_patch16_clip_224.openai",
    url=f"{_OPENAI}/5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt",
    sha256="5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
)
_OPENAI_L14 = Weights(
    name="OpenAI CLIP ViT-L/14",
    licence="MIT",
    size="890 MB",
    tag="openai",
    hub="timm/vit_large_patch14_clip_224.openai",
    url=f"{_OPENAI}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
    sha256="b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
)
_LAION_B16 = Weights(
    name="LAION-2B CLIP ViT-B/16",
    licence="MIT",
    size="599 MB",
    tag="laion2b_s34b_b88k",
    hub="laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
)
_CLIP_DINOISER = Weights(
    name="CLIP-DINOiser's convolutions",
    licence="see github.com/wysoczanska/clip_dinoiser",
    size="7 MB",
    url="https://github.com/wysoczanska/clip_dinoiser/raw/main/checkpoints/last.pt",
)
_DINO_B16 = Weights(
    name="DINO ViT-B/16",
    licence="Apache-2.0",
    size="343 MB",
    tag="dino",
    hub="timm/vit_base_patch16_224.dino",
    files=("model.safetensors", "pytorch_model.bin"),
)
_FOUND_DINO = Weights(
    name="DINO ViT-S/8, 300 epochs, for FOUND",
    licence="Apache-2.0",
    size="87 MB",
    url=f"{_DINO}/dino_deitsmall8_300ep_pretrain/dino_deitsmall8_300ep_pretrain.pth",
)
_FOUND = Weights(
    name="FOUND's decoder",
    licence="see github.com/valeoai/FOUND",
    size="3 kB",
    url="https://github.com/valeoai/FOUND/raw/main/data/weights/decoder_weights.pt",
)
_TINY_DINOISER = Weights(
    name="CLIP-DINOiser's convolutions for the tiny CLIP",
    licence="Apache-2.0",
    size="1 MB",
    asset="clip_dinoiser_tiny.safetensors",
)
_TINY_DINO = Weights(
    name="tiny DINO of the drawn world",
    licence="Apache-2.0",
    size="2 MB",
    asset="dino_tiny.safetensors",
)


def _slide(short_side: int, crop: int, stride: int) -> dict[str, Any]:
    return {"mode": "slide", "short_side": short_side, "crop_size": crop, "stride": stride}


def _maskclip(
    backbone: dict[str, Any],
    head: dict[str, Any],
    templates: str,
    test_cfg: dict[str, Any],
) -> dict[str, Any]:
    return _segmentor(backbone, {"type": "MaskClipHead", **head}, templates, test_cfg)


def _segmentor(
    backbone: dict[str, Any],
    head: dict[str, Any],
    templates: str,
    test_cfg: dict[str, Any],
) -> dict[str, Any]:
    return {
        "type": "OpenVocabSegmentor",
        "backbone": {"type": "ClipBackbone", **backbone},
        "decode_head": head,
        "templates": templates,
        "test_cfg": test_cfg,
    }


def _openai_maskclip(name: str, model: str, weights: Weights) -> ModelEntry:
    """MaskCLIP on OpenAI's weights in the way the later training-free methods compare with it."""
    return ModelEntry(
        name=name,
        method="MaskCLIP",
        summary=f"{weights.name}, windows of 224 on a short side of 336 (SCLIP's protocol)",
        weights=(weights,),
        spec=_maskclip(
            {"model": model, "pretrained": weights.tag},
            {"kind": "logits", "temperature": 40.0},
            "imagenet80",
            _slide(336, 224, 112),
        ),
    )


def _clip_dinoiser(
    name: str, summary: str, weights: tuple[Weights, ...], **head: Any
) -> ModelEntry:
    """CLIP-DINOiser as published; `weights` come after those of CLIP."""
    return ModelEntry(
        name=name,
        method="CLIP-DINOiser",
        summary=summary,
        weights=(_LAION_B16, *weights),
        spec=_segmentor(
            {"model": "ViT-B-16", "pretrained": _LAION_B16.tag, "pad": "before"},
            {"type": "ClipDinoiserHead", **head},
            "imagenet80",
            _slide(448, 448, 224),
        ),
    )


def _clip_dinoiser_tiny(name: str, summary: str, weights: Weights, **head: Any) -> ModelEntry:
    """CLIP-DINOiser on the tiny CLIP, windows and words as for `maskclip-tiny`."""
    return ModelEntry(
        name=name,
        method="CLIP-DINOiser",
        summary=summary,
        weights=(_TINY, weights),
        spec=_segmentor(
            {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny.safetensors"},
            {"type": "ClipDinoiserHead", "temperature": 20.0, **head},
            "photo",
            _slide(224, 112, 56),
        ),
    )


_ENTRIES = (
    ModelEntry(
        name="maskclip-tiny",
        method="MaskCLIP",
        summary="offline demo: understands scenes of our own drawn world only, no photos",
        weights=(_TINY,),
        spec=_maskclip(
            {"model": "asset:clip_tiny.json", "pretrained": "asset:clip_tiny.safetensors"},
            {"kind": "logits", "temperature": 20.0},
            "photo",
            _slide(224, 112, 56),
        ),
    ),
    _openai_maskclip("maskclip-vit-b16", "ViT-B-16-quickgelu", _OPENAI_B16),
    _openai_maskclip("maskclip-vit-l14", "ViT-L-14-quickgelu", _OPENAI_L14),
    ModelEntry(
        name="maskclip-vit-b16-laion2b",
        method="MaskCLIP",
        summary="LAION-2B CLIP ViT-B/16, windows of 448 (MaskCLIP as in CLIP-DINOiser)",
        weights=(_LAION_B16,),
        spec=_maskclip(
            {"model": "ViT-B-16", "pretrained": _LAION_B16.tag, "pad": "before"},
            {"kind": "probs", "temperature": 100.0},
            "imagenet80",
            _slide(448, 448, 224),
        ),
    ),
    ModelEntry(
        name="maskclip-vit-b16-original",
        method="MaskCLIP",
        summary="OpenAI CLIP ViT-B/16 exactly as the MaskCLIP paper's code runs it",
        weights=(_OPENAI_B16,),
        spec=_maskclip(
            {
                "model": "ViT-B-16",
                "pretrained": _OPENAI_B16.tag,
                "act_layer": "gelu",
                "ln_eps": 1e-6,
                "normalization": "imagenet",
                "pad": "after",
            },
            {"kind": "logits", "temperature": 100.0},
            "maskclip85",
            {"mode": "whole", "short_side": 512},
        ),
    ),
    _clip_dinoiser(
        "clip-dinoiser-vit-b16",
        "MaskCLIP on LAION-2B CLIP ViT-B/16, pooled by a learned affinity",
        (_CLIP_DINOISER,),
        pretrained=_CLIP_DINOISER.url,
    ),
    _clip_dinoiser(
        "clip-dinoiser-vit-b16-direct",
        "the same without training: asks DINO and FOUND themselves, three towers in all",
        (_DINO_B16, _FOUND_DINO, _FOUND),
        mode="direct",
        dino={"model": "vit_base_patch16_224", "pretrained": _DINO_B16.tag},
        found={
            "model": "vit_small_patch8_224",
            "pretrained": _FOUND_DINO.url,
            "decoder": _FOUND.url,
        },
    ),
    _clip_dinoiser_tiny(
        "clip-dinoiser-tiny",
        "offline demo with better shapes: our own drawn world only, no photos",
        _TINY_DINOISER,
        pretrained=f"asset:{_TINY_DINOISER.asset}",
        in_channels=128,
        channels=64,
        # Nobody taught these convolutions a foreground: the drawn world has no FOUND.
        clean_background=False,
    ),
    _clip_dinoiser_tiny(
        "clip-dinoiser-tiny-direct",
        "the same without training, by the tiny DINO; drawn world only, no photos",
        _TINY_DINO,
        mode="direct",
        dino={"model": "asset:dino_tiny.json", "pretrained": f"asset:{_TINY_DINO.asset}"},
    ),
)


def _complete(model: ModelEntry) -> bool:
    """Whether all weights that come with the package are part of this one."""
    return all(w.asset is None or w.path() is not None for w in model.weights)


MODELS: dict[str, ModelEntry] = {model.name: model for model in _ENTRIES if _complete(model)}
"""Models by name; one whose bundled weights are not trained yet has no name yet."""

# The strongest of these on whole scenes (reruns by others: ADE20K 14.2 against 11.9 mIoU and
# COCO-Stuff 17.5 against 16.7 for OpenAI's weights), and a network run as it was trained.
DEFAULT_MODEL = "maskclip-vit-b16-laion2b"
