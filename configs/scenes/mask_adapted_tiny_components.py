# The same on the connected parts of what MaskCLIP finds, sharpened by PAMR: no proposal network.
_base_ = ["mask_adapted_tiny.py"]
model = dict(
    decode_head=dict(
        proposer=dict(
            _delete_=True,
            type="ComponentProposer",
            head=dict(type="MaskClipHead", temperature=20.0),
            windows=dict(mode="slide", crop_size=112, stride=56),
            refiner=dict(type="PamrRefiner"),
            min_area=0.005,
        ),
        weight=0.35,
    )
)
