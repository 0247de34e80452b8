# MaskCLIP as its paper's code runs it: OpenAI's ViT-B/16, exact GELU, whole pictures.
model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone",
        model="ViT-B-16",
        pretrained="openai",
        act_layer="gelu",
        ln_eps=1e-6,
        normalization="imagenet",
        pad="after",
    ),
    decode_head=dict(type="MaskClipHead", kind="logits", temperature=100.0),
    templates="maskclip85",
    test_cfg=dict(mode="whole", short_side=512),
)
