"""Sources of mask proposals, behind one small interface."""

from ovseg.proposals.base import MaskProposals, ProposalRequest, Proposer
from ovseg.proposals.maskformer import MaskFormerProposer

__all__ = ["PROPOSERS", "MaskFormerProposer", "MaskProposals", "ProposalRequest", "Proposer"]

PROPOSERS: dict[str, type[Proposer]] = {"MaskFormerProposer": MaskFormerProposer}
"""Proposers by the names that configurations use."""
