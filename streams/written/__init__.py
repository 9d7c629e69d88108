"""Documents as people write them, resolved into what is published: no library decides inside the stream."""
