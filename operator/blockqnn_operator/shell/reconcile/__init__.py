"""The loop over each search, which observes, plans and applies; the work queue; the clean-up."""
