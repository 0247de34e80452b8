# A tiny proposal network for the words of the tiny CLIP, learned on drawn scenes:
#     ovseg train configs/mask_adapted/mask_adapted_tiny_scenes_proposals.py --work-dir run
_base_ = ["../_base_/training_runtime.py"]

model = dict(
    type="MaskFormerModel",
    data_preprocessor=dict(type="SegDataPreProcessor", bgr_to_rgb=True, size=(128, 128)),
    backbone=dict(type="ResNetFeatures", name="test_resnet", stem=16, dilations=(1, 1)),
    head=dict(queries=20, width=64, layers=3, heads=4, feedforward=128, class_hidden=128, groups=8),
    clip=dict(
        type="ClipBackbone",
        model="asset:clip_tiny.json",
        pretrained="asset:clip_tiny.safetensors",
    ),
    vocabulary="scenes",
    templates="photo",
)
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadLabels"),
    dict(type="RandomCrop", crop_size=(128, 128)),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(type="SceneDataset", split="train", count=4000, pipeline=train_pipeline),
)
train_cfg = dict(type="ResumableIterLoop", max_iters=1200)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=0.1),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=1200, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=100))
