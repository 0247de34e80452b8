"""Nouns of captions: what an image may show, in the words of who described it.

The tagger is TextBlob's: its English lexicon and rules come inside the wheel. The models of NLTK
and spaCy have to be fetched from places that are no package index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ovseg.errors import ConfigError

__all__ = ["STOP_WORDS", "caption_nouns", "noun_runs"]

STOP_WORDS = frozenset({
    "background", "back", "bottom", "bunch", "center", "centre", "close-up", "closeup", "couple",
    "day", "drawing", "foreground", "front", "group", "image", "kind", "left", "lot", "middle",
    "number", "one", "pair", "part", "photo", "photograph", "picture", "piece", "right", "scene",
    "shot", "side", "something", "thing", "time", "top", "type", "view", "way",
})  # fmt: skip
"""Nouns that name no visible thing; a run of nouns that ends with one is left out."""

_NOUNS = ("NN", "NNS", "NNP", "NNPS")
_PLURALS = ("NNS", "NNPS")


def noun_runs(tagged: Iterable[tuple[str, str]], singular: Callable[[str], str] = str) -> list[str]:
    """Names in a tagged sentence: nouns that follow each other are one name.

    Args:
        tagged: words with the tags of the Penn Treebank.
        singular: makes the singular of a plural noun.

    Returns:
        Distinct names in lower case, in their order.

    Example:
        >>> tagged = [("fire", "NN"), ("hydrants", "NNS"), ("at", "IN"), ("top", "NN")]
        >>> noun_runs(tagged, lambda word: word.removesuffix("s"))
        ['fire hydrant']
    """
    runs: list[list[str]] = [[]]
    for word, tag in tagged:
        if tag in _NOUNS:
            runs[-1].append(singular(word.lower()) if tag in _PLURALS else word.lower())
        elif runs[-1]:
            runs.append([])
    names = [" ".join(run) for run in runs if run and run[-1] not in STOP_WORDS]
    return list(dict.fromkeys(names))


def caption_nouns(captions: Sequence[str]) -> list[str]:
    """Distinct names in the captions of an image, in their order.

    Raises:
        ConfigError: TextBlob is not installed.
    """
    try:
        from textblob.en.inflect import singularize
        from textblob.taggers import PatternTagger
    except ImportError as error:
        raise ConfigError(
            "TextBlob, which finds nouns, is not installed",
            where="mining of captions",
            fix='pip install "ovseg[mining]"; it needs no further data',
        ) from error
    tagger = PatternTagger()
    names = [noun_runs(tagger.tag(caption), singularize) for caption in captions]
    return list(dict.fromkeys(name for run in names for name in run))
