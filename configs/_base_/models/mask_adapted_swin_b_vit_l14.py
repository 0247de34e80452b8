# OVSeg as released: MaskFormer on Swin-B proposes masks, CLIP ViT-L/14, adapted to masked regions,
# judges. One file holds all weights (CC BY-NC 4.0, non-commercial). It has no address: get it from
# github.com/facebookresearch/ov-seg and put it into ~/.cache/ovseg/weights (OVSEG_CACHE moves it),
# or give its path in the three places of byhand:...
model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone",
        model="ViT-L-14-quickgelu",
        pretrained="byhand:ovseg_swinbase_vitL14_ft_mpt.pth",
    ),
    decode_head=dict(
        type="MaskAdaptedClipHead",
        proposer=dict(
            type="MaskFormerProposer",
            backbone=dict(type="SwinFeatures"),
            embed_dim=768,
            pretrained="byhand:ovseg_swinbase_vitL14_ft_mpt.pth",
        ),
        pretrained="byhand:ovseg_swinbase_vitL14_ft_mpt.pth",
        mask_threshold=0.4,
        weight=0.7,
    ),
    templates="vild14",
    test_cfg=dict(mode="whole", short_side=640, long_side=2560, resize="pillow", window_batch=32),
)
