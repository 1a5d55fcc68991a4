"""The torch runtime: builds networks from checkpoints, for export or to run on a GPU."""
