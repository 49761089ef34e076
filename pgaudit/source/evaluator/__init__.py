"""The constant evaluator that opens packed scripts: it computes what a wrapper passes to ``exec``, and runs nothing."""
