# MaskCLIP+: ResNet-v1c of stride 8 with ImageNet weights, DeepLabv2, taught by MaskCLIP (ViT-B/16).
# A config that uses it names the vocabulary in decode_head, and the schedule.
norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    type="MaskClipPlus",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),
        test_cfg=dict(size_divisor=32),
    ),
    pretrained="open-mmlab://resnet50_v1c",
    backbone=dict(
        type="ResNetV1c",
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style="pytorch",
        contract_dilation=True,
    ),
    decode_head=dict(
        type="MaskClipPlusHead",
        channels=512,
        vocabulary="voc20_maskclip",
        decode_module=dict(
            type="DeepLabV2Head",
            in_channels=2048,
            in_index=3,
            dilations=(6, 12, 18, 24),
            norm_cfg=norm_cfg,
        ),
        # Summed over the pixels that count, divided by all pixels, as published.
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=False),
    ),
    teacher=dict(
        backbone=dict(
            type="ClipBackbone",
            model="ViT-B-16",
            pretrained="openai",
            act_layer="gelu",
            ln_eps=1e-6,
            normalization="imagenet",
            pad_mode="after",
        ),
        decode_head=dict(type="MaskClipHead", score_type="logits"),
        templates="maskclip85",
        test_cfg=dict(mode="whole", short_side=None),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4),
)
