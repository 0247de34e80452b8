"""Draw the stages of Trident on a drawn scene for docs/trident.md.

python tools/show_trident.py                       as in the documentation
python tools/show_trident.py --seed 7 --at 120 60  another scene, another clicked pixel
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

import ovseg
from ovseg.heads.proxy import mean_cosine, proxy_attention
from ovseg.heads.sam_correlation import SamCorrelation
from ovseg.inference.head_input import HeadInput
from ovseg.inference.windows import WindowGrid
from ovseg.pipeline import Pipeline
from ovseg.prompts.vocabulary import Vocabulary
from ovseg.scenes import draw_scene
from ovseg.scenes.world import PALETTE
from ovseg.utils.files import write_atomic
from ovseg.visualize.sheet import contact_sheet

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "configs" / "scenes" / "trident_tiny_sam.py"
PAGE_IMAGE = ROOT / "docs" / "images" / "trident.jpg"
Pixel = tuple[int, int]


def heat(image: np.ndarray, values: Tensor) -> np.ndarray:
    """Lay values (h, w) over an image in colors, blue for the least and red for the most."""
    low, high = values.aminmax()
    level = ((values - low) / (high - low).clamp_min(1e-9) * 255).byte().cpu().numpy()
    level = cv2.resize(level, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    colors = cv2.applyColorMap(level, cv2.COLORMAP_JET)[:, :, ::-1]
    return cv2.addWeighted(np.ascontiguousarray(colors), 0.65, image, 0.35, 0)


def marked(image: np.ndarray, at: Pixel) -> np.ndarray:
    """Mark the clicked pixel (x, y)."""
    return cv2.drawMarker(image.copy(), at, (255, 255, 255), cv2.MARKER_CROSS, 12, 2)


def with_windows(image: np.ndarray, grid: WindowGrid, chosen: int) -> np.ndarray:
    """Draw the windows; the one that holds the clicked pixel in white."""
    drawn = image.copy()
    boxes = list(enumerate(grid.boxes()))
    for number, (top, left, bottom, right) in [*boxes, boxes[chosen]]:
        color = (255, 255, 255) if number == chosen else (20, 20, 20)
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), color, 1 + (number == chosen))
    return drawn


def central_window(grid: WindowGrid, at: Pixel) -> int:
    """Number of the window whose middle is nearest to a pixel."""
    middles = np.array([((y + b) / 2, (x + r) / 2) for y, x, b, r in grid.boxes()])
    return int(np.square(middles - (at[1], at[0])).sum(1).argmin())


def cell_of(size: Pixel, grid: Pixel, at: Pixel) -> Pixel:
    """(row, column) of the cell of a grid (rows, columns) that holds a pixel (x, y)."""
    return at[1] * grid[0] // size[0], at[0] * grid[1] // size[1]


def inside_window(pipeline: Pipeline, view: np.ndarray, grid: WindowGrid, at: Pixel) -> np.ndarray:
    """Draw what the clicked patch mixes with by DINO, in the window around it."""
    head, chosen = pipeline.head, central_window(grid, at)
    pixels = torch.from_numpy(view).permute(2, 0, 1).float() / 255
    seen = torch.cat([head.dino_features(pixels[None, :, y:b, x:r]) for y, x, b, r in grid.boxes()])
    one = seen[chosen : chosen + 1]
    attention = proxy_attention(one, mean_cosine(seen).mean(), head.beta, head.gamma)[0]
    cells, (top, left, bottom, right) = tuple(one.shape[2:]), grid.boxes()[chosen]
    place = cell_of(grid.crop, cells, (at[0] - left, at[1] - top))
    drawn = view.copy()
    window = view[top:bottom, left:right]
    drawn[top:bottom, left:right] = heat(window, attention.unflatten(0, cells)[place].view(cells))
    return drawn


def across_image(pipeline: Pipeline, image: np.ndarray, at: Pixel) -> np.ndarray:
    """Draw what the clicked patch mixes with by SAM."""
    head = pipeline.head
    (seen,) = head.sam_features(image, pipeline.clip.patch_size)
    found = SamCorrelation(seen, cos_fac=head.cos_fac, refine_neg_cos=head.refine_neg_cos)
    row, column = cell_of(image.shape[:2], found.grid, at)
    place = row * found.grid[1] + column
    return heat(image, found[slice(place, place + 1)].view(found.grid))


@torch.inference_mode()
def stages(pipeline: Pipeline, image_np: np.ndarray, at: Pixel) -> dict[str, np.ndarray]:
    """Return images of the stages by title, for a clicked pixel (x, y)."""
    head, clip, vocabulary = pipeline.head, pipeline.clip, Vocabulary.builtin("scenes")
    image_tensor = head.resize_input(clip, pipeline.prepare(image_np), pipeline.settings.crop_size)
    view = (image_tensor * 255).round().byte().permute(1, 2, 0).numpy().copy()
    grid = pipeline.settings.windows(tuple(image_tensor.shape[1:]))
    chosen = int(pipeline(image_np, vocabulary).labels[at[1], at[0]])
    prompt = vocabulary.prompt_class.index(chosen)
    text_embeddings = pipeline.text_embeddings(vocabulary)
    scores = head(HeadInput(clip, image_tensor, text_embeddings, grid, image_np=image_np))
    cosines = scores.chunk(prompt, prompt + 1)[0]
    return {
        "windows": marked(with_windows(view, grid, central_window(grid, at)), at),
        "DINO, in the window": marked(inside_window(pipeline, view, grid, at), at),
        "SAM, across the image": marked(across_image(pipeline, image_np, at), at),
        f"cosines with '{vocabulary.classes[chosen]}'": heat(image_np, cosines),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=2_000_009, help="of the scene (%(default)s)")
    parser.add_argument("--at", type=int, nargs=2, default=(110, 75), metavar=("X", "Y"))
    parser.add_argument("-o", "--out", type=Path, default=PAGE_IMAGE)
    args = parser.parse_args(argv)
    image = draw_scene(args.seed).image
    plain, refined = (ovseg.load(MODEL, device="cpu", refine=r) for r in ("none", "sam"))
    shown = stages(plain.pipeline, image, tuple(args.at))
    for title, model in (("labels", plain), ("refined by SAM", refined)):
        shown[title] = model.segment(image, "scenes", palette=PALETTE).overlay()
    titles, images = list(shown), list(shown.values())
    half = len(shown) // 2
    sheets = [
        contact_sheet(titles[part], [images[part]], cell=(260, 260))
        for part in (slice(0, half), slice(half, None))
    ]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(sheets)).save(buffer, "JPEG", quality=88)
    print(f"wrote {write_atomic(args.out, buffer.getvalue())}")


if __name__ == "__main__":
    main()
