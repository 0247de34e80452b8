# CLIP-DINOiser on Cityscapes, 19 classes; published: 31.7 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16.py",
    "../_base_/datasets/cityscapes.py",
]
model = dict(vocabulary="cityscapes_mmseg")
