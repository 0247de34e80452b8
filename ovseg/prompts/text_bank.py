"""The text bank: class names to unit vectors, by prompt templates, in batches, with a cache."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ovseg.errors import CheckpointError, PromptError
from ovseg.prompts.class_names import clean_name
from ovseg.prompts.templates import fill_template, load_templates
from ovseg.prompts.text_cache import FORMAT, Row, TextCache, default_cache_dir

__all__ = ["TextBank", "TextEncoder", "prompt_lengths"]

Progress = Callable[[int, int], None]

_PROBE = "A photo of 3 cats, a d\u00e9j\u00e0-vu & one potter's wheel."
_PROBE_DIGITS = 3
"""Digits of its vector that tell apart towers of the same weights run in another way."""

_CPU_TOKENS = 2048
_GPU_TOKENS = 65_536
_MOST_PROMPTS = 16_384
"""Prompts whose tokens and vectors are held at once."""
_LISTS_KEPT = 8
"""Lists of queries whose vectors stay in memory."""


class TextEncoder(Protocol):
    """What the bank needs of an encoder.

    An encoder whose text encoder is not causal says so by an attribute `causal_text = False`.
    """

    weights_hash: str

    @property
    def context_length(self) -> int:
        """Tokens that a prompt may have."""

    @property
    def embed_dim(self) -> int:
        """E, length of the vectors."""

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Token ids (N, context length)."""

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Embeddings (N, E) of ids (N, L)."""


class TextBank:
    """Encodes queries into unit vectors.

    Per query: every template's prompt is encoded and scaled to unit length, the vectors are
    averaged, and the mean is scaled to unit length (specification of MaskCLIP, section 2.4).

    A causal text encoder sees nothing behind the end token, so prompts are cut at the longest of
    their batch, which changes nothing but time. Vectors are kept on disk under the hash of the
    weights, what the tokenizer and the tower make of a fixed text, the templates and the exact
    query; see `text_cache`. The last few lists stay in memory too; see `embeddings`.

    Args:
        clip: the text encoder.
        templates: prompt templates, or what `load_templates` takes.
        cache_dir: folder of the disk cache; "default" is `$OVSEG_CACHE/text`, else
            `~/.cache/ovseg/text`; None keeps nothing.
        batch_tokens: most tokens of a batch; None chooses by device.

    Raises:
        ConfigError: unusable templates.
    """

    def __init__(
        self,
        clip: TextEncoder,
        templates: str | Path | Sequence[str],
        *,
        cache_dir: str | Path | Literal["default"] | None = "default",
        batch_tokens: int | None = None,
    ) -> None:
        self.clip = clip
        self.templates = load_templates(templates)
        self.cache_dir = default_cache_dir() if cache_dir == "default" else cache_dir
        self.batch_tokens = batch_tokens
        self._disk: tuple[str, TextCache] | None = None
        self._kept: OrderedDict[tuple[object, ...], Tensor] = OrderedDict()

    def embeddings(
        self,
        queries: Sequence[str],
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Return the vectors of queries where they are used; those of the last 8 lists are kept.

        What is kept belongs to weights, device and number format: after a move or other weights
        nothing old comes back.

        Args:
            queries: as for `encode`.
            device: where the vectors go.
            dtype: their number format.

        Returns:
            (Q, E) unit rows; not to be changed in place.

        Raises:
            PromptError: as `encode`.
            CheckpointError: as `encode`.
        """
        key = (self.clip.weights_hash, tuple(queries), torch.device(device), dtype)
        found = self._kept.pop(key, None)
        if found is None:
            # Outside of inference mode, so that a training may use what a test has kept.
            with torch.inference_mode(False):
                found = self.encode(queries).to(device, dtype)
        self._kept[key] = found
        while len(self._kept) > _LISTS_KEPT:
            self._kept.popitem(last=False)
        return found

    def encode(
        self, queries: Sequence[str], *, strict: bool = False, progress: Progress | None = None
    ) -> Tensor:
        """Encode queries.

        Args:
            queries: (Q) texts, such as `Vocabulary.prompts`; repeated ones are encoded once.
            strict: refuse queries that are longer than the context instead of warning.
            progress: called with (queries encoded, queries to encode) as the work goes on.

        Returns:
            (Q, E) float32 unit rows on the CPU.

        Raises:
            PromptError: no query, an empty one, or with `strict` one that is too long.
            CheckpointError: the text encoder gives values that are not finite.
        """
        if isinstance(queries, str) or not queries:
            raise PromptError(f"{queries!r} as queries", expected="a list with at least one text")
        names = [clean_name(query, where=f"query {i}") for i, query in enumerate(queries, 1)]
        wanted = list(dict.fromkeys(names))
        cache = self._open_cache()
        rows = cache.read(wanted) if cache else {}
        new = [name for name in wanted if name not in rows]
        if new:
            made = self._make_rows(new, progress)
            if cache:
                cache.write(made)
            rows.update(made)
        self._report_cuts({name: rows[name].cut for name in wanted if rows[name].cut}, strict)
        return torch.stack([rows[name].vector for name in names])

    def _make_rows(self, names: list[str], progress: Progress | None) -> dict[str, Row]:
        step = max(1, _MOST_PROMPTS // len(self.templates))
        rows: dict[str, Row] = {}
        for start in range(0, len(names), step):
            part = names[start : start + step]

            def tell(share: float, start: int = start, count: int = len(part)) -> None:
                if progress:
                    progress(start + int(share * count), len(names))

            vectors, cuts = self._encode_part(part, tell)
            rows.update({n: Row(v, c) for n, v, c in zip(part, vectors, cuts, strict=True)})
        return rows

    def _encode_part(
        self, names: list[str], tell: Callable[[float], None]
    ) -> tuple[Tensor, list[str]]:
        templates = Counter(self.templates)
        prompts = [fill_template(template, name) for name in names for template in templates]
        distinct = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
        tokens = self.clip.tokenize(list(distinct))
        features = self._encode_tokens(tokens, tell)[[distinct[prompt] for prompt in prompts]]
        weights = torch.tensor(list(templates.values()), dtype=features.dtype)
        mean = torch.einsum("nte,t->ne", features.unflatten(0, (len(names), -1)), weights)
        full = (prompt_lengths(tokens) == self.clip.context_length).tolist()
        cuts = {p: self._cut_text(p) for p, i in distinct.items() if full[i]}
        longest = [
            max((cuts.get(fill_template(t, name), "") for t in templates), key=len)
            for name in names
        ]
        return functional.normalize(mean, dim=1), longest

    def _encode_tokens(self, tokens: Tensor, tell: Callable[[float], None]) -> Tensor:
        """Unit vectors (N, E) of prompts, the longest first so that memory peaks at the start."""
        device = _device_of(self.clip)
        budget = self.batch_tokens or (_CPU_TOKENS if device.type == "cpu" else _GPU_TOKENS)
        lengths = prompt_lengths(tokens)
        if not getattr(self.clip, "causal_text", True):
            lengths = torch.full_like(lengths, tokens.shape[1])
        features = torch.empty(len(tokens), self.clip.embed_dim)
        done = 0
        with torch.inference_mode():
            for batch, length in _batches(lengths, budget):
                encoded = self.clip.encode_text(tokens[batch, :length].to(device))
                features[batch] = functional.normalize(encoded.float(), dim=1).cpu()
                done += len(batch)
                tell(done / len(tokens))
        if not features.isfinite().all():
            raise CheckpointError(
                "the text encoder gives values that are not finite",
                where=getattr(self.clip, "name", None),
                fix="check the weights",
            )
        return features

    def _cut_text(self, prompt: str) -> str:
        """What the context length cuts off a prompt, in whole words."""
        words = prompt.split()
        frame, *counts = prompt_lengths(self.clip.tokenize(["", *words])).tolist()
        room = self.clip.context_length - frame
        for index, count in enumerate(counts):
            room -= count - frame
            if room < 0 or count == self.clip.context_length:
                return " ".join(words[index:])
        return ""

    def _report_cuts(self, cuts: dict[str, str], strict: bool) -> None:
        for name, cut in cuts.items():
            what = (
                f"query {_short(name)} is longer than the {self.clip.context_length} tokens of the "
                f"text encoder; cut off: {_short(cut)}"
            )
            if strict:
                raise PromptError(what, expected="a shorter name", fix="shorten it")
            warnings.warn(what, stacklevel=3)

    def _open_cache(self) -> TextCache | None:
        if self.cache_dir is None:
            return None
        weights = self.clip.weights_hash
        if self._disk is None or self._disk[0] != weights:
            tokens = self.clip.tokenize([_PROBE])
            probe = self._encode_tokens(tokens, lambda share: None)[0]
            key = {
                "format": FORMAT,
                "weights": weights,
                "tokens": tokens.tolist(),
                "context": self.clip.context_length,
                "probe": [round(value, _PROBE_DIGITS) + 0.0 for value in probe.tolist()],
                "templates": self.templates,
            }
            name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
            path = Path(self.cache_dir) / f"{name}.safetensors"
            self._disk = weights, TextCache(path)
        return self._disk[1]


def prompt_lengths(tokens: Tensor) -> Tensor:
    """Tokens of each prompt before its padding.

    The padding is the run of equal ids at the end of a row; a row without one counts whole, which
    is never too short.

    Args:
        tokens: (N, L) ids.

    Returns:
        (N) lengths, from 1 to L (0 for a row of equal ids).

    Example:
        >>> prompt_lengths(torch.tensor([[8, 5, 9, 0, 0], [8, 5, 5, 5, 9]])).tolist()
        [3, 5]
    """
    width = tokens.shape[1]
    run = (tokens == tokens[:, -1:]).flip(1).cumprod(1).sum(1)
    return torch.where(run > 1, width - run, width)


def _batches(lengths: Tensor, budget: int) -> Iterator[tuple[Tensor, int]]:
    order = lengths.argsort(descending=True, stable=True)
    start = 0
    while start < len(order):
        length = max(1, int(lengths[order[start]]))
        batch = order[start : start + max(1, budget // length)]
        yield batch, length
        start += len(batch)


def _device_of(clip: TextEncoder) -> torch.device:
    parameters = getattr(clip, "parameters", None)
    first = next(iter(parameters()), None) if parameters else None
    return torch.device("cpu") if first is None else first.device


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
