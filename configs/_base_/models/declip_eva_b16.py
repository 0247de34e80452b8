# DeCLIP for segmentation without training: EVA02-CLIP B/16, fine-tuned at 560 pixels by DINOv2-B.
# The file has no address: get it from github.com/xiaomoguhz/DeCLIP and put it into
# ~/.cache/ovseg/weights (OVSEG_CACHE moves it), or give its path in the place of byhand:...
model = dict(
    type="OpenVocabSegmentor",
    backbone=dict(
        type="ClipBackbone",
        model="EVA02-B-16",
        pretrained="byhand:DeCLIP_evab_dinov2B_csa_560_0.25_seg.pt",
        pad="around",
    ),
    # These weights divide the logits by the root of a head's width; those of CAT-Seg do not.
    decode_head=dict(type="DeClipHead", mode="csa", attn_scale="sqrt_d", temperature=40.0),
    templates="imagenet80",
    test_cfg=dict(
        mode="slide",
        crop_size=336,
        stride=112,
        short_side=448,
        long_side=4096,
        align="around",
    ),
)
