"""Q-learning: values of decisions, experience replay, shaping, and the redefined reward."""
