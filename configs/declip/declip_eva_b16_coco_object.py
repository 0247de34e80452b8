# DeCLIP (EVA02-CLIP B/16) on COCO-Object, background and 80 things.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/declip_eva_b16.py",
    "../_base_/datasets/coco_object.py",
]
model = dict(
    vocabulary="coco_object",
    test_cfg=dict(threshold=0.2, long_side=2048),
)
