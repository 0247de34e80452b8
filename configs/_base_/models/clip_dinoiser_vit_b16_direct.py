# CLIP-DINOiser without training: affinity from DINO ViT-B/16, foreground from FOUND.
model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone", model="ViT-B-16", pretrained="laion2b_s34b_b88k", pad="before"
    ),
    decode_head=dict(
        type="ClipDinoiserHead",
        mode="direct",
        dino=dict(model="vit_base_patch16_224", pretrained="dino"),
        found=dict(
            model="vit_small_patch8_224",
            pretrained="https://dl.fbaipublicfiles.com/dino/dino_deitsmall8_300ep_pretrain/"
            "dino_deitsmall8_300ep_pretrain.pth",
            decoder="https://github.com/valeoai/FOUND/raw/main/data/weights/decoder_weights.pt",
        ),
        feats_type="v",
        gamma=0.2,
        delta=0.99,
        clean_background="auto",
    ),
    templates="imagenet80",
    test_cfg=dict(mode="slide", crop_size=448, stride=224, short_side=448, long_side=2048),
)
