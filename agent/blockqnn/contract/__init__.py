"""Messages between operator and trainer: what a Job is told, and what it reports."""
