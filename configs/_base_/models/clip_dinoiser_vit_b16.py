# CLIP-DINOiser as published: LAION-2B CLIP ViT-B/16, affinity and foreground from two convolutions.
model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone", model="ViT-B-16", pretrained="laion2b_s34b_b88k", pad="before"
    ),
    decode_head=dict(
        type="ClipDinoiserHead",
        mode="trained",
        pretrained="https://github.com/wysoczanska/clip_dinoiser/raw/main/checkpoints/last.pt",
        gamma=0.2,
        delta=0.99,
        clean_background="auto",
    ),
    templates="imagenet80",
    test_cfg=dict(mode="slide", crop_size=448, stride=224, short_side=448, long_side=2048),
)
