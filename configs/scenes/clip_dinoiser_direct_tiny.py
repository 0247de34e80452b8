# CLIP-DINOiser without training: the tiny DINO itself says which patches are alike.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(
    decode_head=dict(
        _delete_=True,
        type="ClipDinoiserHead",
        mode="direct",
        dino=dict(model="asset:dino_tiny.json", pretrained="asset:dino_tiny.safetensors"),
        temperature=20.0,
    )
)
