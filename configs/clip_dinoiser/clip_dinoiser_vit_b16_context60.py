# CLIP-DINOiser on Pascal Context, background and 59 classes; published: 32.4 mIoU.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16.py",
    "../_base_/datasets/context60.py",
]
# The names cover what a background is made of, so that class is only asked for, as published.
model = dict(
    vocabulary="context60_clip_dinoiser",
    decode_head=dict(clean_background=False),
)
