# Proposal network of mask-adapted CLIP, learned on COCO-Stuff 164k: 118K images, 171 classes.
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = ["training_runtime.py"]

model = dict(
    type="MaskFormerModel",
    data_preprocessor=dict(
        type="SegDataPreProcessor", bgr_to_rgb=True, pad_val=128, seg_pad_val=255
    ),
    vocabulary="coco_stuff164k_ovseg",
    templates="vild14",
)
# 8 GPUs x 4 images.
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="COCOStuff164kDataset",
        data_root="{{$OVSEG_DATA:data}}/coco_stuff164k",
        data_prefix=dict(img_path="images/train2017", seg_map_path="annotations/train2017"),
    ),
)
train_cfg = dict(type="ResumableIterLoop", max_iters=120000)
optim_wrapper = dict(
    type="OptimWrapper",
    clip_grad=dict(max_norm=0.01),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            "query_embed": dict(decay_mult=0.0),
            "relative_position_bias_table": dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=120000, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=5000))
