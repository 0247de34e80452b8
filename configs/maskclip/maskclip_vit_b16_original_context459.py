_base_ = [
    "../_base_/models/maskclip_vit_b16_original.py",
    "../_base_/datasets/context459.py",
    "../_base_/default_runtime.py",
]
# Scaled as on Context59; the paper has no figure for it.
model = dict(vocabulary="context459", test_cfg=dict(short_side=520, long_side=520))
