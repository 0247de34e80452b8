"""A plug-in as somebody would write it: one module with a head of its own and a named model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ovseg.heads import WindowHead

SOURCE = '''
import ovseg
from torch.nn.functional import avg_pool2d

from ovseg.heads import WindowHead
from ovseg.zoo import MODELS, ModelEntry


@ovseg.register_head("{name}Head")
class {name}(WindowHead):
    """Values of the last block, each the mean of its neighborhood; not from any paper."""

    def __init__(self, reach: int = 1, temperature: float = 20.0) -> None:
        super().__init__()
        self.reach = reach
        self.temperature = temperature

    def patch_features(self, clip, backbone_tokens):
        values = clip.dense_features(backbone_tokens, "value").features
        return avg_pool2d(values, 2 * self.reach + 1, 1, self.reach, count_include_pad=False)


ovseg.register_model(
    ModelEntry(
        name="{model}",
        method="{name}",
        summary="a head from outside the package",
        weights=MODELS["maskclip-tiny"].weights,
        spec={{**MODELS["maskclip-tiny"].spec, "decode_head": {{"type": "{name}Head"}}}},
    )
)
'''

CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports={imports})
model = dict(decode_head=dict(_delete_=True, type="{head}"))
"""

TINY_CONFIG = Path(__file__).parents[1] / "configs" / "maskclip" / "maskclip_tiny_scenes.py"


@dataclass(frozen=True)
class Plugin:
    """Where a plug-in lies and what it registers."""

    module: str
    head: str
    model: str

    def config(self, folder: Path, *imports: str) -> str:
        """Write a configuration that uses the head, and names these modules as custom imports."""
        path = folder / f"{self.module}_config.py"
        path.write_text(CONFIG.format(base=str(TINY_CONFIG), imports=list(imports), head=self.head))
        return str(path)


def write_plugin(folder: Path, tag: str) -> Plugin:
    """Write the module; names with another tag do not meet in one process."""
    name, module, model = f"Near{tag.title()}", f"near_{tag}", f"near-{tag}"
    (folder / f"{module}.py").write_text(SOURCE.format(name=name, model=model))
    return Plugin(module, f"{name}Head", model)


class Expected(WindowHead):
    """The same in other words, and not registered."""

    temperature = 20.0

    def patch_features(self, clip, trunk):
        """Add up the values of a patch and its eight neighbors, and count them."""
        values = clip.dense_features(trunk, "value").features
        ones = torch.ones_like(values[:1, :1])
        return sum(_moved(values)) / sum(_moved(ones))


def _moved(maps):
    rows, columns = maps.shape[2:]
    wide = torch.nn.functional.pad(maps, (1, 1, 1, 1))
    return [wide[..., y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
