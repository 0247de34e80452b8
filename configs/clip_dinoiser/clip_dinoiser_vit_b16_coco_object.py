# CLIP-DINOiser on COCO-Object, background and 80 things; published: 34.8 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16.py",
    "../_base_/datasets/coco_object.py",
]
# Doubtful patches without an object become background.
model = dict(
    vocabulary="coco_object_clip_dinoiser",
    decode_head=dict(clean_background=True),
)
