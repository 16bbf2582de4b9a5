"""Models fitted to the trials so far: the accuracy of a block, and the end of a curve."""
