# MaskCLIP+ with labels of the seen classes: MaskCLIP teaches the others, later the network itself.
# Pascal Context with background.
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = [
    "../_base_/training_runtime.py",
    "../_base_/datasets/context60.py",
    "../_base_/models/maskclip_plus_deeplabv2.py",
]

model = dict(
    data_preprocessor=dict(size=(480, 480)),
    pretrained="open-mmlab://resnet101_v1c",
    backbone=dict(depth=101),
    decode_head=dict(
        vocabulary="context59_maskclip",
        learn_background=True,
        decode_module=dict(
            _delete_=True,
            type="DepthwiseSeparableASPPHead",
            in_channels=2048,
            in_index=3,
            dilations=(1, 12, 24, 36),
            c1_in_channels=256,
            c1_channels=48,
            norm_cfg=dict(type="SyncBN", requires_grad=True),
        ),
    ),
    unseen=[20, 34, 49, 15, 8, 25, 7, 55, 32, 1],
    self_training_from=4000,
)
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadLabels"),
    dict(type="RandomResize", scale=(520, 520), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(480, 480), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="PascalContext60Dataset",
        data_root="{{$OVSEG_DATA:data}}/VOCdevkit/VOC2010",
        ann_file="ImageSets/SegmentationContext/train.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClassContext"),
        pipeline=train_pipeline,
    ),
)
test_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="Resize", scale=(520, 520), keep_ratio=True),
    dict(type="LoadLabels"),
    dict(type="PackSegInputs"),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(type="ResumableIterLoop", max_iters=40000, val_interval=8000)
param_scheduler = [
    dict(type="PolyLR", power=0.9, eta_min=1e-4, begin=0, end=40000, by_epoch=False),
]
optim_wrapper = dict(optimizer=dict(lr=0.004, weight_decay=1e-4))
