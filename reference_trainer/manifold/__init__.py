"""A frozen manifold of tokens from corpus co-occurrence, and the causal network that passes messages over it."""
