"""The definition of the BlockSearch resource: its OpenAPI schema, CEL rules, and CRD."""
