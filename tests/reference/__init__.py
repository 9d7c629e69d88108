"""A second, slow implementation of the definitions, written from their text and sharing nothing with `streams.core`."""
