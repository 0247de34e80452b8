# Sizes of the tiny proposal network, for the configurations that train it and that use it.
proposal_backbone = dict(
    type="ResNetFeatures",
    name="resnet18",
    stem=16,
    dilations=(1,),
    layers=(2, 2, 2, 1),
    widths=(32, 64, 128, 192),
)
proposal_head = dict(
    queries=20,
    width=64,
    layers=3,
    heads=4,
    feedforward=256,
    class_hidden=128,
    groups=8,
    dropout=0.0,
)
