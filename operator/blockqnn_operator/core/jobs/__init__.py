"""Jobs as manifests: of a trial, of several, of a finalist, of the preparation of a dataset."""
