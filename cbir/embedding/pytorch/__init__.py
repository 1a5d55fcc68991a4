"""Networks in torch: built from a checkpoint, to be exported or to run on a GPU."""
