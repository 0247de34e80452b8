"""A folder of results: resuming, shards, the journal, and the batch that fills it."""
