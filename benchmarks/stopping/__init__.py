"""Savings and cost of trainings that stop themselves."""
