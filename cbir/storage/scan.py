"""A vector index that scans: 4-bit product-quantised codes first, the best of them exactly.

Each vector is coded in D / 16 to D / 8 bytes... of 4-bit codes (product quantisation, Jégou et al.
2011; compared in registers, André et al. 2015, as FAISS's fast scan does). A query scans the codes
of all images, takes the best few hundred, and compares those with their float16 vectors, which lie
in a file. There is no graph and there are no lists: an image added is a row appended, one removed
a row struck out, and building is one pass.
"""
