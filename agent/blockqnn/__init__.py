"""The science of BlockQNN: blocks, the space they come from, and the agent that learns it.

Pure: the standard library and pydantic. No cluster, no tensor, no clock, no I/O.
"""
