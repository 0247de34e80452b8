# MaskCLIP+ without any class labels: MaskCLIP (ViT-B/16) teaches all along.
# COCO-Stuff 164k.
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = [
    "../_base_/training_runtime.py",
    "../_base_/datasets/coco_stuff164k.py",
    "../_base_/models/maskclip_plus_deeplabv2.py",
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(vocabulary="coco_stuff164k_maskclip"),
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
        type="COCOStuff164kDataset",
        data_root="{{$OVSEG_DATA:data}}/coco_stuff164k",
        data_prefix=dict(img_path="images/train2017", seg_map_path="annotations/train2017"),
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
train_cfg = dict(type="ResumableIterLoop", max_iters=8000, val_interval=8000)
param_scheduler = [
    dict(type="PolyLR", power=0.9, eta_min=1e-4, begin=0, end=8000, by_epoch=False),
]
