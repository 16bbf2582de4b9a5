"""The BlockSearch resource: its names, its fields, its schema. Pure."""
