# DeCLIP's training of EVA02-CLIP B/16 by DINOv2-B: all images of COCO, no labels. Any folder of
# images does: --cfg-options train_dataloader.dataset.data_root=FOLDER
# Published on 4 GPUs with 4 images each: tools/dist_train.sh CONFIG 4 --amp
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = ["../_base_/training_runtime.py"]

model = dict(
    type="OpenVocabSegmentor",
    data_preprocessor=dict(type="SegDataPreProcessor", bgr_to_rgb=True, size=(560, 560)),
    backbone=dict(type="ClipBackbone", model="EVA02-B-16", pretrained="merged2b_s8b_b131k"),
    decode_head=dict(type="DeClipHead", mode="qq", attn_scale="none"),
    train_cfg=dict(
        type="DeclipRecipe",
        vfm="dinov2-B",
        content_weight=1.0,
        context_weight=0.1,
        alpha=0.7,
    ),
    test_cfg=dict(mode="slide", crop_size=336, stride=112, short_side=448),
)

# vfm_size gives the teacher the student's grid: 560 / 16 = 35 patches of 14 pixels.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="RegionTransform", size=560, vfm_size=490, crop_size=224),
    dict(type="PackRegions"),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="ImageFolderDataset",
        data_root="{{$OVSEG_DATA:data}}/coco_stuff164k/images/train2017",
        pipeline=train_pipeline,
    ),
)
train_cfg = dict(type="ResumableEpochLoop", max_epochs=6)
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="VectorsKeepConstructor",
    optimizer=dict(type="AdamW", lr=1e-5, weight_decay=0.1, betas=(0.9, 0.999), eps=1e-8),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, by_epoch=False, end=1000),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=1000),
]
default_hooks = dict(
    checkpoint=dict(by_epoch=True, interval=1),
    logger=dict(log_metric_by_epoch=True),
)
log_processor = dict(by_epoch=True)
