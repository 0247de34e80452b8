"""Backbones of proposal networks: Swin of torchvision and ResNet of timm as four feature maps.

timm's Swin shifts its windows before it pads a map to whole windows, the published one after; only
torchvision's gives the published features of images of any size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import timm
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer

__all__ = ["BACKBONES", "ResNetFeatures", "SwinFeatures"]


class Backbone(nn.Module):
    """Images (B, 3, H, W) to four maps at strides 4, 8, 16 and 32.

    Attributes:
        channels: of the four maps.
    """

    channels: tuple[int, ...]

    @staticmethod
    def rename(key: str) -> str:
        """Name of one of the maker's keys here."""
        raise NotImplementedError


class SwinFeatures(Backbone):
    """Swin Transformer with a norm on every output (Liu et al., ICCV 2021).

    Defaults are those of Swin-B with windows of 12. Where a map is not larger than a window the
    published code still shifts and torchvision does not: images of sides under 384 differ there.

    Args:
        width: channels after the patches.
        depths: blocks of the four stages.
        heads: their attention heads.
        window: side of a window in cells.
        drop_path: rate of the last block's stochastic depth; earlier ones have less.

    Attributes:
        channels: of the four maps.
    """

    def __init__(
        self,
        width: int = 128,
        depths: Sequence[int] = (2, 2, 18, 2),
        heads: Sequence[int] = (4, 8, 16, 32),
        window: int = 12,
        drop_path: float = 0.3,
    ) -> None:
        super().__init__()
        self.channels = tuple(width * 2**stage for stage in range(len(depths)))
        whole = SwinTransformer(
            [4, 4],
            width,
            list(depths),
            list(heads),
            [window, window],
            stochastic_depth_prob=drop_path,
            num_classes=1,
        )
        self.features = whole.features
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in self.channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, H, W) to maps (B, C, h, w) at strides 4, 8, 16 and 32."""
        maps = self.features[0](images)
        found = []
        for stage, norm in enumerate(self.norms):
            # Between two stages lies the merging of patches.
            maps = self.features[2 * stage + 1](maps)
            found.append(norm(maps).permute(0, 3, 1, 2).contiguous())
            if stage + 1 < len(self.norms):
                maps = self.features[2 * stage + 2](maps)
        return found

    @staticmethod
    def rename(key: str) -> str:
        """Name of one of Swin's own keys here.

        Example:
            >>> SwinFeatures.rename("layers.2.blocks.7.mlp.fc2.bias")
            'features.5.7.mlp.3.bias'
        """
        key = key.replace("patch_embed.proj", "features.0.0")
        key = key.replace("patch_embed.norm", "features.0.2")
        key = re.sub(r"^norm(\d)", r"norms.\1", key)
        key = key.replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.3")
        return re.sub(
            r"^layers\.(\d+)\.(blocks|downsample)",
            lambda found: f"features.{2 * int(found[1]) + (1 if found[2] == 'blocks' else 2)}",
            key,
        )


class ResNetFeatures(Backbone):
    """ResNet with DeepLab's stem of three convolutions (R101c).

    The last stage keeps stride 32; its blocks are dilated by 1, 2 and 4.

    Args:
        name: of timm, for example "resnet101".
        stem: channels of the stem's first two convolutions; it ends with twice as many.
        dilations: of the blocks of the last stage.
        layers: blocks of the four stages; None keeps those of `name`.
        widths: channels of the stages' 3 x 3 convolutions, likewise.

    Attributes:
        channels: of the four maps.
    """

    def __init__(
        self,
        name: str = "resnet101",
        stem: int = 64,
        dilations: Sequence[int] = (1, 2, 4),
        layers: Sequence[int] | None = None,
        widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        sizes = {"layers": layers, "channels": widths}
        given: dict[str, Any] = {k: tuple(size) for k, size in sizes.items() if size is not None}
        trunk: Any = timm.create_model(
            name,
            stem_type="deep",
            stem_width=stem,
            features_only=True,
            out_indices=(1, 2, 3, 4),
            **given,
        )
        self.trunk = trunk
        self.channels = tuple(trunk.feature_info.channels())
        for block, dilation in zip(trunk.layer4, dilations, strict=False):
            block.conv2.dilation = block.conv2.padding = (dilation, dilation)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, H, W) to maps (B, C, h, w) at strides 4, 8, 16 and 32."""
        return self.trunk(images)

    @staticmethod
    def rename(key: str) -> str:
        """Name of one of Detectron2's keys here.

        Example:
            >>> ResNetFeatures.rename("res4.7.conv2.norm.running_var")
            'trunk.layer3.7.bn2.running_var'
            >>> ResNetFeatures.rename("stem.conv2.weight")
            'trunk.conv1.3.weight'
        """
        key = key.replace("stem.conv3.norm", "bn1")
        key = re.sub(r"^stem\.conv(\d)\.norm", lambda m: f"conv1.{3 * int(m[1]) - 2}", key)
        key = re.sub(r"^stem\.conv(\d)", lambda m: f"conv1.{3 * int(m[1]) - 3}", key)
        key = re.sub(r"^res(\d)", lambda m: f"layer{int(m[1]) - 1}", key)
        key = key.replace("shortcut.norm", "downsample.1").replace("shortcut", "downsample.0")
        return "trunk." + re.sub(r"conv(\d)\.norm", r"bn\1", key)


BACKBONES: dict[str, type[Backbone]] = {
    "SwinFeatures": SwinFeatures,
    "ResNetFeatures": ResNetFeatures,
}
"""Backbones by the names that configurations use."""
