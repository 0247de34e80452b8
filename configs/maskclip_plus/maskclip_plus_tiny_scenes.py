# MaskCLIP+ on the drawn world: a small ResNet, from random weights and without any label, learns
# from the bundled maskclip-tiny. Train, then test:
#     ovseg train configs/maskclip_plus/maskclip_plus_tiny_scenes.py --work-dir run
#     ovseg test configs/maskclip_plus/maskclip_plus_tiny_scenes.py run/weights.safetensors
_base_ = ["../_base_/training_runtime.py", "../_base_/datasets/scenes.py"]

model = dict(
    type="MaskClipPlus",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(112, 112),
        test_cfg=dict(size_divisor=8),
    ),
    backbone=dict(
        type="ResNetV1c",
        depth=18,
        stem_channels=24,
        base_channels=24,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=False,
        contract_dilation=True,
    ),
    decode_head=dict(
        type="MaskClipPlusHead",
        channels=64,
        vocabulary="scenes",
        decode_module=dict(
            type="DeepLabV2Head",
            in_channels=192,
            in_index=3,
            dilations=(1, 3, 5, 7),
            norm_cfg=dict(type="BN", requires_grad=True),
        ),
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
    teacher=dict(
        backbone=dict(
            type="ClipBackbone",
            model="asset:clip_tiny.json",
            pretrained="asset:clip_tiny.safetensors",
        ),
        decode_head=dict(type="MaskClipHead", kind="logits", temperature=20.0),
        templates="photo",
        test_cfg=dict(mode="whole", short_side=None),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)

# The labels of the scenes are not even loaded.
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="PictureCrop", size=224, flip=0.5, brightness=0.3),
    dict(type="RandomCrop", crop_size=(112, 112)),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(type="SceneDataset", split="train", count=20000, pipeline=train_pipeline),
)
train_cfg = dict(type="ResumableIterLoop", max_iters=900, val_interval=900)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=50, end=900, eta_min=1e-5),
]
default_hooks = dict(checkpoint=dict(interval=100))
