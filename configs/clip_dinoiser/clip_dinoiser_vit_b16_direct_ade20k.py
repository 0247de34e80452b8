# CLIP-DINOiser without training, by DINO and FOUND, on ADE20K, 150 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16_direct.py",
    "../_base_/datasets/ade20k.py",
]
model = dict(vocabulary="ade20k_mmseg")
