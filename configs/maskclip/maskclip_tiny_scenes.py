# The bundled tiny model on 200 drawn scenes; needs no files. With mmseg's own test tool:
#     python tools/test.py configs/maskclip/maskclip_tiny_scenes.py none
# "none" stands for the checkpoint that the tool asks for: this file names all weights itself.
_base_ = ["../_base_/default_runtime.py", "../_base_/datasets/scenes.py"]

model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone",
        model="asset:clip_tiny.json",
        pretrained="asset:clip_tiny.safetensors",
    ),
    decode_head=dict(type="MaskClipHead", kind="logits", temperature=20.0),
    templates="photo",
    vocabulary="scenes",
    test_cfg=dict(mode="slide", crop_size=112, stride=56, short_side=224),
)
