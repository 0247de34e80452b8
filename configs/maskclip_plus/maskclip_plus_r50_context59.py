# MaskCLIP+ without any class labels: MaskCLIP (ViT-B/16) teaches all along.
# Pascal Context (59 classes).
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = [
    "../_base_/training_runtime.py",
    "../_base_/datasets/context59.py",
    "../_base_/models/maskclip_plus_deeplabv2.py",
]

model = dict(
    data_preprocessor=dict(size=(480, 480)),
    decode_head=dict(vocabulary="context59_maskclip"),
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
        type="PascalContext59Dataset",
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
train_cfg = dict(type="ResumableIterLoop", max_iters=4000, val_interval=4000)
param_scheduler = [
    dict(type="PolyLR", power=0.9, eta_min=1e-4, begin=0, end=4000, by_epoch=False),
]
