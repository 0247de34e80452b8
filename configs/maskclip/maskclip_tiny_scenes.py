_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/scenes.py"]

model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone",
        model="asset:clip_tiny.json",
        pretrained="asset:clip_tiny.safetensors",
    ),
    decode_head=dict(type="MaskClipHead", kind="logits", temperature=100.0),
    templates="photo",
    vocabulary="scenes",
    test_cfg=dict(mode="whole", short_side=224),
)
