# How well CLIP names regions where masks are perfect: every class's true mask is proposed.
_base_ = ["mask_adapted_tiny.py"]
model = dict(
    decode_head=dict(
        proposer=dict(_delete_=True, type="PrecomputedMaskProposer", masks="ground_truth")
    )
)
