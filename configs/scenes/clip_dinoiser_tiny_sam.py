# CLIP-DINOiser with the outlines that the bundled SAM sees, as by `--refine sam`.
_base_ = ["clip_dinoiser_tiny.py"]
model = dict(
    refiner=dict(
        type="SamRefiner",
        model="asset:sam_tiny.json",
        pretrained="asset:sam_tiny.safetensors",
        coarse_thresh=0.2,
        minimal_area=60,
        sam_mask_coff=4.0,
        sam_iou_thresh=0.3,
        mask_prompt_norm="channel",
        side_multiple=1,
    )
)
