# MaskCLIP as CLIP-DINOiser runs it: LAION's ViT-B/16, windows of 448, probabilities averaged.
model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone", model="ViT-B-16", pretrained="laion2b_s34b_b88k", pad="before"
    ),
    decode_head=dict(type="MaskClipHead", kind="probs", temperature=100.0),
    templates="imagenet80",
    test_cfg=dict(mode="slide", short_side=448, crop_size=448, stride=224),
)
