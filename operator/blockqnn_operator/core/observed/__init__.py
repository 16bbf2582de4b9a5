"""Jobs and Pods as small frozen values, read from what the API server holds."""
