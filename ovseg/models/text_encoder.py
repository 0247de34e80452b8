"""The text encoder of CLIP, for prompts of any length up to the context length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn
from torch.nn import functional

from ovseg.errors import ConfigError, PromptError
from ovseg.weights.download import is_offline


class TextTower:
    """A face over the text side of an open_clip model; it holds no weights of its own.

    Attributes:
        model: the model whose text side is run.
        context_length: tokens that the tower takes at most.
        causal: no token sees those behind it and pooling stops at the end token, so a prompt may
            be cut behind its end token without changing its embedding.
    """

    def __init__(self, model: Any, text_cfg: Mapping[str, Any]) -> None:
        self.model = model
        self.text_cfg = dict(text_cfg)
        self.context_length: int = model.context_length
        plain = not hasattr(model, "text") or isinstance(self._tower, TextTransformer)
        pool = getattr(self._tower, "text_pool_type", getattr(self._tower, "pool_type", "last"))
        self._pool = pool
        self.causal = (
            plain
            and self._tower.attn_mask is not None
            and getattr(self._tower, "cls_emb", None) is None
            and pool in ("first", "argmax", "eos")
        )
        self._tokenizer: Callable[[list[str]], Tensor] | None = None

    @property
    def _tower(self) -> Any:
        """The part of the model that runs words: a module of its own, or the model itself."""
        return getattr(self.model, "text", self.model)

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return self._a_weight().dtype

    def _a_weight(self) -> Tensor:
        named = self.model.named_parameters()
        return next(p for name, p in named if not name.startswith(("visual.", "logit_")))

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Token ids (N, context length) of prompts; long prompts are cut, keeping the end token.

        Raises:
            ConfigError: the tokenizer of this model cannot be loaded.
        """
        if self._tokenizer is None:
            self._tokenizer = self._load_tokenizer()
        return self._tokenizer(list(texts))

    def _load_tokenizer(self) -> Callable[[list[str]], Tensor]:
        options = dict(self.text_cfg.get("tokenizer_kwargs") or {})
        name = self.text_cfg.get("hf_tokenizer_name")
        if not name:
            from open_clip.tokenizer import SimpleTokenizer

            return SimpleTokenizer(context_length=self.context_length, **options)
        if is_offline():
            options["local_files_only"] = True
        try:
            from open_clip.tokenizer import HFTokenizer

            return HFTokenizer(name, context_length=self.context_length, **options)
        except (ImportError, OSError) as error:
            raise ConfigError(
                f"the tokenizer {name} cannot be loaded: {error}",
                where="text_cfg.hf_tokenizer_name",
                fix="pip install transformers sentencepiece, and run once with a network",
            ) from error

    def encode(self, tokens: Tensor) -> Tensor:
        """Embed prompts.

        Args:
            tokens: (N, L) ids, L at most the context length, on any device.

        Returns:
            (N, E) float32, not normalized.

        Raises:
            PromptError: L is too large or 0.
        """
        length = tokens.shape[-1]
        if tokens.ndim != 2 or not 0 < length <= self.context_length:
            raise PromptError(
                f"tokens of shape {tuple(tokens.shape)}",
                expected=f"(N, L) with L from 1 to {self.context_length}",
            )
        tokens = tokens.to(self._a_weight().device)
        if self.causal:
            return self._encode_causal(tokens).float()
        pad = getattr(self._tower, "pad_id", 0)
        return self.model.encode_text(
            functional.pad(tokens, (0, self.context_length - length), value=pad)
        ).float()

    def _encode_causal(self, tokens: Tensor) -> Tensor:
        tower, length = self._tower, tokens.shape[-1]
        x = tower.token_embedding(tokens) + tower.positional_embedding[:length]
        x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
        eos = getattr(tower, "text_eos_id", getattr(tower, "eos_id", None))
        x = text_global_pool(tower.ln_final(x), tokens, self._pool, eos_token_id=eos)
        projection = tower.text_projection
        if projection is None:
            return x
        return projection(x) if isinstance(projection, nn.Linear) else x @ projection
