# CLIP-DINOiser without training, by DINO and FOUND, on Pascal Context, 59 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16_direct.py",
    "../_base_/datasets/context59.py",
]
model = dict(vocabulary="context59_clip_dinoiser")
