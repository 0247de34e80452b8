# The whole of Trident: SAM mixes the spliced features across the image. Values of the tiny SAM
# are alike nearly everywhere, so each row's threshold is set to its upper limit, 0.9.
_base_ = ["../trident/trident_tiny_scenes.py"]
model = dict(
    decode_head=dict(
        sam=dict(
            _delete_=True,
            model="asset:sam_tiny.json",
            pretrained="asset:sam_tiny.safetensors",
        ),
        cos_fac=100.0,
    )
)
