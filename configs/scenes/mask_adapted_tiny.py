# Mask-adapted CLIP: MaskCLIP's connected parts, cut out and judged again by the tiny CLIP, with the
# bundled mask prompts in place of what is blank.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(
    decode_head=dict(
        _delete_=True,
        type="MaskAdaptedClipHead",
        proposer=dict(
            type="ComponentProposer",
            head=dict(type="MaskClipHead", temperature=20.0),
            windows=dict(mode="slide", crop_size=112, stride=56),
            min_area=0.005,
        ),
        pretrained="asset:mask_prompts_tiny.safetensors",
        weight=0.35,
        temperature=20.0,
    ),
    test_cfg=dict(_delete_=True, mode="whole", short_side=224, resize="pillow", window_batch=32),
)
