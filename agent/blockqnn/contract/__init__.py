"""Messages between operator and trainer: the specification of a Job and its report."""
