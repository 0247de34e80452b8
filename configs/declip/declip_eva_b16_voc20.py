# DeCLIP (EVA02-CLIP B/16) on Pascal VOC 2012, 20 objects.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/declip_eva_b16.py",
    "../_base_/datasets/voc20.py",
]
model = dict(vocabulary="voc20")
