"""Class names and what is made of them: vocabularies, templates, text embeddings.

Import what you need from the modules; this package imports nothing by itself.
"""
