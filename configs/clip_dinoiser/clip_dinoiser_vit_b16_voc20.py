# CLIP-DINOiser on Pascal VOC 2012, 20 objects; published: 80.9 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16.py",
    "../_base_/datasets/voc20.py",
]
model = dict(vocabulary="voc20_clip_dinoiser")
