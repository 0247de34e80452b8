# CLIP-DINOiser without training, by DINO and FOUND, on Pascal VOC 2012, background and 20 objects.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/clip_dinoiser_vit_b16_direct.py",
    "../_base_/datasets/voc21.py",
]
# Doubtful patches without an object become background.
model = dict(
    vocabulary="voc21_clip_dinoiser",
    decode_head=dict(clean_background=True),
)
