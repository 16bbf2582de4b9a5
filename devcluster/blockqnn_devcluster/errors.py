"""Errors of the development cluster: one tree; each message is for the person who reads it."""

from __future__ import annotations


class DevClusterError(Exception):
    """Something that a person can act on; the message says what, where and what to do."""


class ToolchainError(DevClusterError):
    """No usable Go toolchain was found, and none could be installed."""


class BuildError(DevClusterError):
    """The Kubernetes programs could not be built."""


class StartError(DevClusterError):
    """A part of the cluster died or did not become ready while it was being started."""


class PortTakenError(StartError):
    """Another program took a port between its choice and its use; a new attempt picks others."""


class UnsupportedMachineError(DevClusterError):
    """This machine lacks something that the wanted kind of node needs."""


class ComponentDiedError(DevClusterError):
    """A part of a running cluster ended by itself."""


class AlreadyRunningError(DevClusterError):
    """A cluster of that name is running already."""


class NotRunningError(DevClusterError):
    """No cluster of that name, or in that directory, is running."""


class UsageError(DevClusterError):
    """An argument has a value that cannot be used."""
