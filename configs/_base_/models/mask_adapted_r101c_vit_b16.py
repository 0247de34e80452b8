# OVSeg as released: MaskFormer on R101c proposes masks, CLIP ViT-B/16, adapted to masked regions,
# judges. One file holds all weights (CC BY-NC 4.0, non-commercial). It has no address: get it from
# github.com/facebookresearch/ov-seg and put it into ~/.cache/ovseg/weights (OVSEG_CACHE moves it),
# or give its path in the three places of byhand:...
model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone",
        model="ViT-B-16-quickgelu",
        pretrained="byhand:ovseg_R101c_vitB16_ft_mpt.pth",
    ),
    decode_head=dict(
        type="MaskAdaptedClipHead",
        proposer=dict(
            type="MaskFormerProposer",
            backbone=dict(type="ResNetFeatures", name="resnet101"),
            embed_dim=512,
            pretrained="byhand:ovseg_R101c_vitB16_ft_mpt.pth",
        ),
        pretrained="byhand:ovseg_R101c_vitB16_ft_mpt.pth",
        mask_threshold=0.5,
        weight=0.7,
    ),
    templates="vild14",
    test_cfg=dict(mode="whole", short_side=512, long_side=2048, resize="pillow", window_batch=32),
)
