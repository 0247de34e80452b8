_base_ = [
    "../_base_/models/maskclip_vit_b16_original.py",
    "../_base_/datasets/coco_object.py",
    "../_base_/default_runtime.py",
]
model = dict(vocabulary="coco_object")
