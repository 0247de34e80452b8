# Trident as published: OpenAI CLIP ViT-B/16, DINO ViT-B/16 inside windows, SAM ViT-B across the
# picture, and SAM once more for the outlines.
model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone",
        model="ViT-B-16-quickgelu",
        pretrained="openai",
        position_rule="plus_0.1",
    ),
    decode_head=dict(
        type="TridentHead",
        dino=dict(model="vit_base_patch16_224", pretrained="dino"),
        sam=dict(model="vit_b", pretrained="sa1b"),
        beta=1.2,
        gamma=3.0,
        cos_fac=1.2,
        refine_neg_cos=True,
        temperature=40.0,
    ),
    refiner=dict(
        type="SamRefiner",
        model="vit_b",
        pretrained="sa1b",
        coarse_thresh=0.2,
        minimal_area=225,
        sam_iou_thresh=0.8,
        side_multiple=16,
    ),
    templates="imagenet80",
    test_cfg=dict(mode="slide", crop_size=336, stride=224, short_side=448, long_side=2048),
)
