# The training of CLIP-DINOiser: 1000 images of ImageNet, drawn once, 100 passes, no labels.
# Any folder of images does: --cfg-options train_dataloader.dataset.data_root=FOLDER
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = ["../_base_/training_runtime.py"]

model = dict(
    type="OpenVocabSegmentor",
    data_preprocessor=dict(type="SegDataPreProcessor", bgr_to_rgb=True, size=(448, 448)),
    backbone=dict(type="ClipBackbone", model="ViT-B-16", pretrained="laion2b_s34b_b88k"),
    decode_head=dict(type="ClipDinoiserHead", mode="trained"),
    templates="imagenet80",
    train_cfg=dict(
        type="DinoiserRecipe",
        dino=dict(model="vit_base_patch16_224", pretrained="dino"),
        found=dict(
            model="vit_small_patch8_224",
            pretrained="https://dl.fbaipublicfiles.com/dino/dino_deitsmall8_300ep_pretrain/"
            "dino_deitsmall8_300ep_pretrain.pth",
            decoder="https://github.com/valeoai/FOUND/raw/main/data/weights/decoder_weights.pt",
        ),
    ),
    test_cfg=dict(mode="slide", crop_size=448, stride=224, short_side=448),
)

train_pipeline = [
    dict(type="LoadImage"),
    dict(type="ImageCrop", size=448),
    dict(type="PackSegInputs"),
]
# 16 images a step; the last 8 of a pass make a step of their own: 63 steps a pass, 6300 in all.
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="ImageFolderDataset",
        data_root="{{$OVSEG_DATA:data}}/imagenet/train",
        draw=1000,
        draw_seed=0,
        pipeline=train_pipeline,
    ),
)
train_cfg = dict(type="ResumableEpochLoop", max_epochs=100)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=5e-5, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={"bkg_decoder": dict(lr_mult=200.0)}),
)
param_scheduler = [dict(type="MultiStepLR", by_epoch=False, milestones=[5000], gamma=0.1)]
default_hooks = dict(
    checkpoint=dict(by_epoch=True, interval=1),
    logger=dict(log_metric_by_epoch=True),
)
log_processor = dict(by_epoch=True)
