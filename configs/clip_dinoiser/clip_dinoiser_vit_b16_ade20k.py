# CLIP-DINOiser on ADE20K, 150 classes; published: 20.0 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16.py",
    "../_base_/datasets/ade20k.py",
]
model = dict(vocabulary="ade20k_mmseg")
