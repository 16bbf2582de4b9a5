"""The papers' figures, repeated on stored trainings: which of their claims hold here."""
