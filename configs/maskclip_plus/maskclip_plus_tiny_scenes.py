# MaskCLIP+ on the synthetic world: without any label a DeepLab head, and under it the tiny CLIP's
# own image encoder, learn from the bundled maskclip-tiny, and get better than it. Train, then test:
#     ovseg train configs/maskclip_plus/maskclip_plus_tiny_scenes.py --work-dir run
#     ovseg test configs/maskclip_plus/maskclip_plus_tiny_scenes.py run/weights.safetensors
_base_ = ["../_base_/training_runtime.py", "../_base_/datasets/scenes.py"]

model = dict(
    type="MaskClipPlus",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[122.771, 116.746, 104.094],
        std=[68.501, 66.632, 70.323],
        bgr_to_rgb=True,
        size=(112, 112),
        test_cfg=dict(size_divisor=8),
    ),
    backbone=dict(
        type="ClipTokenBackbone",
        model="asset:clip_tiny.json",
        pretrained="asset:clip_tiny.safetensors",
    ),
    decode_head=dict(
        type="MaskClipPlusHead",
        channels=64,
        vocabulary="scenes",
        decode_module=dict(
            type="DeepLabV2Head",
            in_channels=128,
            in_index=0,
            dilations=(1, 2, 3, 4),
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
        decode_head=dict(type="MaskClipHead", score_type="logits", temperature=20.0),
        templates="photo",
        test_cfg=dict(mode="whole", short_side=None),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="slide", crop_size=(112, 112), stride=(56, 56)),
)

# The labels of the scenes are not even loaded.
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="ImageCrop", size=224, flip=0.5, brightness=0.3),
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
train_cfg = dict(type="ResumableIterLoop", max_iters=1300, val_interval=1300)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=50, end=1300, eta_min=1e-5),
]
default_hooks = dict(checkpoint=dict(interval=100))
