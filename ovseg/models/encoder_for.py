"""Which face fits which image encoder of open_clip."""

from __future__ import annotations

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import nn

from ovseg.errors import ConfigError
from ovseg.models.image_encoder import VisionTower
from ovseg.models.resnet import ResNetTower
from ovseg.models.vit import VitTower


def tower_for(visual: nn.Module, position_rule: str = "size") -> VisionTower:
    """Face over `model.visual` of an open_clip model.

    Raises:
        ConfigError: a kind of tower that cannot be read out patch by patch.
    """
    if isinstance(visual, VisionTransformer):
        return VitTower(visual, position_rule)
    if isinstance(visual, ModifiedResNet):
        return ResNetTower(visual, position_rule)
    if isinstance(visual, TimmModel):
        from timm.models.eva import Eva

        from ovseg.models.eva_siglip import EvaTower, SiglipTower

        if isinstance(visual.trunk, Eva):
            return EvaTower(visual, position_rule)
        if getattr(visual.trunk, "attn_pool", None) is not None:
            return SiglipTower(visual, position_rule)
    raise ConfigError(
        f"no patch features from an image encoder of type {type(visual).__name__}",
        where="model",
        expected="a CLIP vision transformer or ResNet, EVA02 or SigLIP",
    )
