"""Train the embedded tiny models on the synthetic world.

    python -m tools.tiny.train clip dino sam --out work_dirs/tiny
    python -m tools.tiny.train clip dino sam --out work_dirs/tiny --install

Called again with the same folder, an interrupted run goes on where it stopped. ``--install``
copies the weights into the package, from where ``tools/tiny/report.py`` measures them.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import open_clip
import timm.layers
import torch
from safetensors.torch import save_file
from torch import nn

from ovseg.models.dino import build_vit
from ovseg.models.sam import build_sam_network
from ovseg.scenes import SPLITS
from tools.tiny.affinity import AffinityLoss, pair_accuracy, patch_batch
from tools.tiny.caption_batches import caption_batch
from tools.tiny.clip import TinyClipLoss, validate
from tools.tiny.loop import Schedule, fit
from tools.tiny.prompt_batches import prompt_batch
from tools.tiny.sam import PromptLoss, prompt_iou
from tools.tiny.scene_store import SceneStore

ASSETS = Path(__file__).parents[2] / "ovseg" / "assets"
SCENE = 224
STEPS = {"clip": 4000, "dino": 600, "sam": 600}
BATCH = {"clip": 64, "dino": 32, "sam": 4}
MORE = {"clip": (), "dino": (), "sam": ((240, 1.5e-3), (640, 1.5e-3))}
ANY_READER_FROM = 1100
RATE = {"clip": 2e-3, "dino": 1e-3, "sam": 1e-3}


def stores(args: argparse.Namespace, size: int, count: int) -> tuple[SceneStore, SceneStore]:
    """The training and the validation scenes at one size."""
    return (
        SceneStore(args.scenes, SPLITS["train"][:count], size, report=_drawing),
        SceneStore(args.scenes, SPLITS["val"][:64], size),
    )


def train_clip(args: argparse.Namespace, config: dict, schedule: Schedule, batch: int) -> nn.Module:
    """Train the tiny CLIP."""
    model = open_clip.CLIP(**config).to(args.device)
    tokenizer = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    side, patch = (config["vision_cfg"][key] for key in ("image_size", "patch_size"))
    train, check = stores(args, SCENE, args.count)
    fit(
        TinyClipLoss(model, tokenizer),
        lambda rng, step: caption_batch(
            train, rng, batch, side, patch, any_reader=step >= ANY_READER_FROM
        ),
        schedule,
        args.out / "clip",
        device=args.device,
        validate=lambda: validate(model, tokenizer, check, len(check)),
    )
    return model


def train_dino(args: argparse.Namespace, config: dict, schedule: Schedule, batch: int) -> nn.Module:
    """Train the tiny DINO-like ViT."""
    # Plain products beat the fused kernel on a CPU at this size.
    timm.layers.set_fused_attn(False)
    model = build_vit(config)[0].to(args.device)
    side, patch = config["img_size"], config["patch_size"]
    train, check = stores(args, SCENE, args.count)
    fit(
        AffinityLoss(model),
        lambda rng, _: patch_batch(train, rng, batch, side, patch),
        schedule,
        args.out / "dino",
        device=args.device,
        validate=lambda: pair_accuracy(model, check, len(check), side, patch),
    )
    return model


def train_sam(args: argparse.Namespace, config: dict, schedule: Schedule, batch: int) -> nn.Module:
    """Train the tiny promptable SAM."""
    model = build_sam_network(config).to(args.device)
    train, check = stores(args, config["image_encoder"]["img_size"], args.count // 4)
    fit(
        PromptLoss(model),
        lambda rng, _: prompt_batch(train, rng, batch),
        schedule,
        args.out / "sam",
        device=args.device,
        validate=lambda: prompt_iou(model, check, 32),
    )
    return model


TRAIN = {"clip": train_clip, "dino": train_dino, "sam": train_sam}


def _drawing(done: int, total: int) -> None:
    if done % 2048 == 0 or done == total:
        print(f"drawn {done} of {total} scenes", flush=True)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=sorted(TRAIN))
    parser.add_argument("--out", type=Path, default=Path("work_dirs/tiny"))
    parser.add_argument("--scenes", type=Path, default=Path("work_dirs/scenes"))
    parser.add_argument("--count", type=int, default=16384, help="training scenes to draw")
    parser.add_argument("--steps", type=int, help=f"default: {STEPS}")
    parser.add_argument("--batch", type=int, help=f"default: {BATCH}")
    parser.add_argument("--rate", type=float, help=f"peak learning rate, default: {RATE}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="CPU threads of torch")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--install", action="store_true", help="put the weights into the package")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    for part in args.parts:
        torch.manual_seed(args.seed)
        config = json.loads((ASSETS / f"{part}_tiny.json").read_text(encoding="utf-8"))
        schedule = Schedule(
            args.steps or STEPS[part],
            rate=args.rate or RATE[part],
            more=() if args.steps else MORE[part],
            seed=args.seed,
            save_every=20,
        )
        model = TRAIN[part](args, config, schedule, args.batch or BATCH[part])
        weights = {k: v.half().cpu().contiguous() for k, v in model.state_dict().items()}
        path = args.out / f"{part}_tiny.safetensors"
        save_file(weights, path)
        print(f"wrote {path}, {path.stat().st_size / 1e6:.2f} MB")
        if args.install:
            shutil.copyfile(path, ASSETS / path.name)
            (ASSETS / path.name).chmod(0o644)


if __name__ == "__main__":
    main()
