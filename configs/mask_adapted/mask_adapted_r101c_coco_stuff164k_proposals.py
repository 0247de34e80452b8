# Proposal network of mask-adapted CLIP, R101c for the words of ViT-B/16.
# Its published start is Detectron2's DeepLab/R-103.pkl, a pickle of numpy arrays:
#     ovseg convert-weights R-103.pkl data/R-103.safetensors
# Where the variable OVSEG_DATA is set, it stands for the folder data/.
_base_ = ["../_base_/maskformer.py"]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(type="ResNetFeatures", name="resnet101"),
    pretrained="{{$OVSEG_DATA:data}}/R-103.safetensors",
    clip=dict(type="ClipBackbone", model="ViT-B-16-quickgelu", pretrained="openai"),
)
train_pipeline = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadLabels"),
    dict(
        type="RandomChoiceResize",
        scales=[800],
        resize_type="ResizeShortestEdge",
        max_size=1333,
    ),
    dict(type="RandomCrop", crop_size=(512, 512)),
    dict(type="PhotoMetricDistortion"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=2e-4, weight_decay=1e-4),
    # A key leaves out the other rules, and the longest that matches counts: norms do not decay.
    paramwise_cfg=dict(
        custom_keys={
            "network.backbone": dict(lr_mult=0.1),
            **{
                f"network.backbone.trunk.{place}": dict(lr_mult=0.1, decay_mult=0.0)
                for place in (
                    "conv1.1",
                    "conv1.4",
                    "bn1",
                    *(f"layer{s}.0.downsample.1" for s in range(1, 5)),
                    *(
                        f"layer{s}.{b}.bn{n}"
                        for s, blocks in enumerate((3, 4, 23, 3), start=1)
                        for b in range(blocks)
                        for n in range(1, 4)
                    ),
                )
            },
        }
    ),
)
sync_bn = "torch"
