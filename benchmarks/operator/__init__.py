"""The operator at scale, beside a bare loop that creates Jobs and waits for them."""
