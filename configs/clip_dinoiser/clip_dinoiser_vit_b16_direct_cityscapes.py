# CLIP-DINOiser without training, by DINO and FOUND, on Cityscapes, 19 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16_direct.py",
    "../_base_/datasets/cityscapes.py",
]
model = dict(vocabulary="cityscapes_mmseg")
