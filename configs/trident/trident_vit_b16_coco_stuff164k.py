# Trident on COCO-Stuff 164k, 171 classes; published: 28.3 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/coco_stuff164k.py",
]
model = dict(
    vocabulary="coco_stuff164k",
    refiner=dict(coarse_thresh=0.05),
)
