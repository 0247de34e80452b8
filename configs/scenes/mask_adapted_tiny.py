# Mask-adapted CLIP: masks of the tiny proposal network, cut out and judged again by the tiny CLIP,
# with the bundled mask prompts in place of what is blank.
_base_ = ["../maskclip/maskclip_tiny_scenes.py", "../_base_/maskformer_tiny.py"]
model = dict(
    decode_head=dict(
        _delete_=True,
        type="MaskAdaptedClipHead",
        proposer=dict(
            type="MaskFormerProposer",
            backbone={{_base_.proposal_backbone}},
            embed_dim=64,
            pretrained="asset:maskformer_tiny.safetensors",
            head={{_base_.proposal_head}},
        ),
        pretrained="asset:mask_prompts_tiny.safetensors",
        weight=0.7,
        temperature=20.0,
    ),
    test_cfg=dict(_delete_=True, mode="whole", short_side=224, resize="pillow", window_batch=32),
)
