"""Sources of mask proposals, behind one small interface."""

from ovseg.proposals.base import MaskProposals, ProposalRequest, Proposer
from ovseg.proposals.components import ComponentProposer
from ovseg.proposals.given import GivenProposer
from ovseg.proposals.maskformer import MaskFormerProposer
from ovseg.proposals.sam import SamProposer

__all__ = ["PROPOSERS", "MaskFormerProposer", "MaskProposals", "ProposalRequest", "Proposer"]

PROPOSERS: dict[str, type[Proposer]] = {
    "ComponentProposer": ComponentProposer,
    "GivenProposer": GivenProposer,
    "MaskFormerProposer": MaskFormerProposer,
    "SamProposer": SamProposer,
}
"""Proposers by the names that configurations use."""
