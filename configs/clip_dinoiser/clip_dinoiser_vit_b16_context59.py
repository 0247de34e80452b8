# CLIP-DINOiser on Pascal Context, 59 classes; published: 35.9 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16.py",
    "../_base_/datasets/context59.py",
]
model = dict(vocabulary="context59_clip_dinoiser")
