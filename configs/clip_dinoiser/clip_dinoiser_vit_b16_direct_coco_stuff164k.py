# CLIP-DINOiser without training, by DINO and FOUND, on COCO-Stuff 164k, 171 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16_direct.py",
    "../_base_/datasets/coco_stuff164k.py",
]
model = dict(vocabulary="coco_stuff164k_mmseg")
