"""The agents of searches, each in a process of its own: what one computes delays no other."""
