"""The process node: a Kubernetes node that runs each container's command as a local process.

It needs no root and no images, and it isolates nothing. What it cannot honour it refuses: such a
pod fails with the reason `Unsupported` and a message that names the field.
"""
