# Trident on the bundled tiny towers: DINO inside windows, SAM across the picture; needs no files.
_base_ = ["../maskclip/maskclip_tiny_scenes.py"]
model = dict(
    decode_head=dict(
        _delete_=True,
        type="TridentHead",
        dino=dict(model="asset:dino_tiny.json", pretrained="asset:dino_tiny.safetensors"),
        sam=dict(model="asset:sam_tiny.json", pretrained="asset:sam_tiny.safetensors"),
        # Values of the tiny SAM are alike nearly everywhere: this sets each row's threshold to its
        # upper limit, 0.9.
        cos_fac=100.0,
        temperature=20.0,
    )
)
