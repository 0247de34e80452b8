# DeCLIP on the synthetic world: the tiny CLIP learns from the tiny DINO and from its own crops,
# without labels. Train, then test:
#     ovseg train configs/declip/declip_tiny_scenes.py --work-dir run
#     ovseg test configs/declip/declip_tiny_scenes.py run/weights.safetensors
_base_ = ["../_base_/training_runtime.py", "../_base_/datasets/scenes.py"]

model = dict(
    type="OpenVocabSegmentor",
    data_preprocessor=dict(type="SegDataPreProcessor", bgr_to_rgb=True, size=(112, 112)),
    backbone=dict(
        type="ClipBackbone",
        model="asset:clip_tiny.json",
        pretrained="asset:clip_tiny.safetensors",
    ),
    decode_head=dict(type="DeClipHead", mode="csa", temperature=20.0),
    templates="photo",
    vocabulary="scenes",
    train_cfg=dict(
        type="DeclipRecipe",
        vfm=dict(type="DinoTeacher", model="asset:dino_tiny", pretrained="asset:dino_tiny"),
        # The class token of the tiny CLIP knows less of a crop than its patches do, the reverse of
        # the real one. So the content follows it little, and only the last block is trained.
        content_weight=0.01,
        context_weight=1.0,
        blocks=1,
        alpha=1.0,
    ),
    test_cfg=dict(mode="slide", crop_size=112, stride=56, short_side=224),
)

# Parts of scenes of the size of a test window; their labels are not even loaded.
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="RandomCrop", crop_size=(112, 112)),
    dict(type="RegionTransform", size=112, vfm_size=112, crop_size=112, max_split=3, max_boxes=2),
    dict(type="PackRegions"),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(type="SceneDataset", split="train", count=960, pipeline=train_pipeline),
)
train_cfg = dict(type="ResumableIterLoop", max_iters=120, val_interval=120)
# Adam divides a gradient by its own size: where one loss alone reaches a tensor, its weight would
# have no effect. The large epsilon gives it back.
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="VectorsKeepConstructor",
    optimizer=dict(type="AdamW", lr=5e-3, weight_decay=0.1, betas=(0.9, 0.98), eps=1e-2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=10),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=10),
]
custom_hooks = [
    dict(type="TeachersHook"),
    dict(type="FiniteLossHook"),
    dict(type="SkippedImagesHook"),
    dict(type="TrainingLogHook"),
    dict(type="AveragedWeightsHook"),
]
default_hooks = dict(checkpoint=dict(interval=60))
