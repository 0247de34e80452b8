"""Files of weights that the zoo's models are made of."""

from __future__ import annotations

from ovseg.weights.download import SAM_FILES, TIMM_FILES, Weights

_OPENAI = "https://openaipublic.azureedge.net/clip/models"
_DINO = "https://dl.fbaipublicfiles.com/dino"

OPENAI_B16 = Weights(
    name="OpenAI CLIP ViT-B/16",
    license="MIT",
    size="335 MB",
    tag="openai",
    hub="timm/vit_base_patch16_clip_224.openai",
    url=f"{_OPENAI}/5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt",
    sha256="5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
)
OPENAI_L14 = Weights(
    name="OpenAI CLIP ViT-L/14",
    license="MIT",
    size="890 MB",
    tag="openai",
    hub="timm/vit_large_patch14_clip_224.openai",
    url=f"{_OPENAI}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
    sha256="b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
)
LAION_B16 = Weights(
    name="LAION-2B CLIP ViT-B/16",
    license="MIT",
    size="599 MB",
    tag="laion2b_s34b_b88k",
    hub="laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
)
LAION_H14 = Weights(
    name="LAION-2B CLIP ViT-H/14",
    license="MIT",
    size="3.9 GB",
    tag="laion2b_s32b_b79k",
    hub="laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
)
CLIP_DINOISER = Weights(
    name="CLIP-DINOiser's convolutions",
    license="see github.com/wysoczanska/clip_dinoiser",
    size="7 MB",
    url="https://github.com/wysoczanska/clip_dinoiser/raw/main/checkpoints/last.pt",
)
DECLIP_B16 = Weights(
    name="DeCLIP's EVA02-CLIP B/16 for segmentation",
    license="see github.com/xiaomoguhz/DeCLIP",
    size="0.6 GB or more",
    files=("DeCLIP_evab_dinov2B_csa_560_0.25_seg.pt",),
    page="github.com/xiaomoguhz/DeCLIP",
)
DECLIP_L14 = Weights(
    name="DeCLIP's EVA02-CLIP L/14 at 336 pixels",
    license="see github.com/xiaomoguhz/DeCLIP",
    size="1.7 GB or more",
    files=("DeCLIP_EVA-L_DINOv2-L_csa_0.05_2.0.pt",),
    page="github.com/xiaomoguhz/DeCLIP",
)
DINO_B16 = Weights(
    name="DINO ViT-B/16",
    license="Apache-2.0",
    size="343 MB",
    tag="dino",
    hub="timm/vit_base_patch16_224.dino",
    files=TIMM_FILES,
)
FOUND_DINO = Weights(
    name="DINO ViT-S/8, 300 epochs, for FOUND",
    license="Apache-2.0",
    size="87 MB",
    url=f"{_DINO}/dino_deitsmall8_300ep_pretrain/dino_deitsmall8_300ep_pretrain.pth",
)
OVSEG_SWIN_B = Weights(
    name="OVSeg, Swin-B and ViT-L/14",
    license="CC BY-NC 4.0 (non-commercial)",
    size="about 2 GB",
    files=("ovseg_swinbase_vitL14_ft_mpt.pth",),
    page="github.com/facebookresearch/ov-seg",
)
OVSEG_R101 = Weights(
    name="OVSeg, R101c and ViT-B/16",
    license="CC BY-NC 4.0 (non-commercial)",
    size="about 1 GB",
    files=("ovseg_R101c_vitB16_ft_mpt.pth",),
    page="github.com/facebookresearch/ov-seg",
)
FOUND = Weights(
    name="FOUND's decoder",
    license="see github.com/valeoai/FOUND",
    size="3 kB",
    url="https://github.com/valeoai/FOUND/raw/main/data/weights/decoder_weights.pt",
)
SAM_B, SAM_L, SAM_H = SAM_FILES.values()


def _bundled(asset: str, size: str, name: str) -> Weights:
    return Weights(name=name, license="Apache-2.0", size=size, asset=f"{asset}.safetensors")


TINY_CLIP = _bundled("clip_tiny", "9 MB", "tiny CLIP of the synthetic world")
TINY_DINOISER = _bundled("clip_dinoiser_tiny", "1 MB", "CLIP-DINOiser's convolutions for tiny CLIP")
TINY_DECLIP = _bundled("declip_tiny", "3 MB", "image encoder of the tiny CLIP, tuned by DeCLIP")
TINY_PROMPTS = _bundled("mask_prompts_tiny", "0.3 MB", "mask prompts of the tiny CLIP")
TINY_PROPOSER = _bundled("maskformer_tiny", "4 MB", "tiny MaskFormer of the synthetic world")
TINY_DINO = _bundled("dino_tiny", "2 MB", "tiny DINO of the synthetic world")
TINY_SAM = _bundled("sam_tiny", "2 MB", "tiny SAM of the synthetic world")
