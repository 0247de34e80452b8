_base_ = [
    "../_base_/models/maskclip_vit_b16_original.py",
    "../_base_/datasets/context59.py",
    "../_base_/default_runtime.py",
]
# The paper's scale: the long side is 520.
model = dict(vocabulary="context59_maskclip", test_cfg=dict(short_side=520, long_side=520))
