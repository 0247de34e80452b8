_base_ = [
    "../_base_/models/maskclip_vit_b16_original.py",
    "../_base_/datasets/cityscapes.py",
    "../_base_/default_runtime.py",
]
# The paper's scale: half size.
model = dict(vocabulary="cityscapes_mmseg", test_cfg=dict(short_side=512, long_side=1024))
