"""What it saves, and what it costs, that trainings stop themselves."""
