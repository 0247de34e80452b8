# Trident on COCO-Object, background and 80 things; published: 41.1 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/trident_vit_b16.py",
    "../_base_/datasets/coco_object.py",
]
model = dict(
    vocabulary="coco_object",
    refiner=dict(coarse_thresh=0.25),
    test_cfg=dict(threshold=0.25),
)
