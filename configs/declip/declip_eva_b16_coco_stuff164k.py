# DeCLIP (EVA02-CLIP B/16) on COCO-Stuff, 171 classes.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/declip_eva_b16.py",
    "../_base_/datasets/coco_stuff164k.py",
]
model = dict(vocabulary="coco_stuff164k")
