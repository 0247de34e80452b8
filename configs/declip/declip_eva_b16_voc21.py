# DeCLIP (EVA02-CLIP B/16) on Pascal VOC 2012, background and 20 objects.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/declip_eva_b16.py",
    "../_base_/datasets/voc21.py",
]
model = dict(
    vocabulary="voc21",
    decode_head=dict(temperature=80.0),
    test_cfg=dict(threshold=0.4),
)
