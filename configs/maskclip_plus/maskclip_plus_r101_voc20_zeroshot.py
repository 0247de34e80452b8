# MaskCLIP+ with labels of the seen classes: MaskCLIP teaches the others, later the network itself.
# Pascal VOC 2012 (20 objects), training split of SBD (trainaug).
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = [
    "../_base_/training_runtime.py",
    "../_base_/datasets/voc20.py",
    "../_base_/models/maskclip_plus_deeplabv2.py",
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    pretrained="open-mmlab://resnet101_v1c",
    backbone=dict(depth=101),
    decode_head=dict(vocabulary="voc20_maskclip"),
    unseen=[15, 16, 17, 18, 19],
    self_training_from=2000,
)
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadLabels"),
    dict(type="RandomResize", scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(512, 512), cat_max_ratio=0.75),
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
        type="PascalVOC20Dataset",
        data_root="{{$OVSEG_DATA:data}}/VOCdevkit/VOC2012",
        ann_file="ImageSets/Segmentation/trainaug.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClassAug"),
        pipeline=train_pipeline,
    ),
)
test_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="Resize", scale=(2048, 512), keep_ratio=True),
    dict(type="LoadLabels"),
    dict(type="PackSegInputs"),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(type="ResumableIterLoop", max_iters=20000, val_interval=8000)
param_scheduler = [
    dict(type="PolyLR", power=0.9, eta_min=1e-4, begin=0, end=20000, by_epoch=False),
]
