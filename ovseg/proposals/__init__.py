"""Sources of mask proposals, behind one small interface."""

from ovseg.proposals.base import MaskProposals, ProposalRequest, Proposer

__all__ = ["PROPOSERS", "MaskProposals", "ProposalRequest", "Proposer"]

PROPOSERS: dict[str, type[Proposer]] = {}
"""Proposers by the names that configurations use."""
