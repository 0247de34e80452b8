# CLIP-DINOiser with the bundled convolutions, trained without labels by the tiny DINO. Nobody
# taught them a foreground, so the background is not cleaned.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(
    decode_head=dict(
        _delete_=True,
        type="ClipDinoiserHead",
        pretrained="asset:clip_dinoiser_tiny.safetensors",
        in_channels=128,
        channels=64,
        clean_background=False,
        temperature=20.0,
    )
)
