# CLIP-DINOiser without training, by DINO and FOUND, on Pascal VOC 2012, 20 objects.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16_direct.py",
    "../_base_/datasets/voc20.py",
]
model = dict(vocabulary="voc20_clip_dinoiser")
