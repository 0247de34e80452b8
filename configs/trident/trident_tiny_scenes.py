# Trident on the bundled tiny towers; needs no files. DINO mixes inside windows. SAM's correlation
# across the picture is left out: the tiny SAM makes it worse (configs/scenes/trident_tiny_sam.py).
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(
    decode_head=dict(
        _delete_=True,
        type="TridentHead",
        dino=dict(model="asset:dino_tiny.json", pretrained="asset:dino_tiny.safetensors"),
        sam=None,
        temperature=20.0,
    )
)
