# CLIP-DINOiser on COCO-Stuff 164k, 171 classes; published: 24.6 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16.py",
    "../_base_/datasets/coco_stuff164k.py",
]
model = dict(vocabulary="coco_stuff164k_mmseg")
