"""The runs of a process: a trial, several trials, the preparation of a dataset."""
