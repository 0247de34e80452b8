_base_ = [
    "../_base_/models/maskclip_vit_b16_laion2b.py",
    "../_base_/datasets/context459.py",
    "../_base_/default_runtime.py",
]
model = dict(vocabulary="context459")
