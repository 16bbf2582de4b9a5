"""The sockets that the operator's servers listen on: both servers get theirs from here.

So probes and metrics listen on the same addresses, and a port that is taken is told in one way.
"""

import errno
import os
import socket
from collections.abc import Mapping, Sequence

from blockqnn_operator.errors import AddressUnavailable

BACKLOG = 128
"""Connections that may wait to be accepted."""

_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
"""Errors of a machine that has only one of IPv4 and IPv6."""

Listeners = Sequence[socket.socket]


def listen_all(
    ports: Mapping[str, int | None], address: str | None = None
) -> dict[str, list[socket.socket]]:
    """Open the ports of several servers, all or none of them.

    Args:
        ports: the ports by the options of the command line that name them; None opens none.
        address: the address or name to listen on; None for all addresses of IPv4 and IPv6.

    Raises:
        AddressUnavailable: naming the option and what to do.
    """
    opened: dict[str, list[socket.socket]] = {}
    try:
        for option, port in ports.items():
            opened[option] = [] if port is None else listen(option, port, address)
    except AddressUnavailable:
        for listeners in opened.values():
            _close(listeners)
        raise
    return opened


def listen(option: str, port: int, address: str | None = None) -> list[socket.socket]:
    """Open a port, by IPv4 and IPv6 as far as the address and the machine have both.

    Args:
        option: the option of the command line that names the port.
        port: the port; 0 for any, which is then the same for both.
        address: the address or name to listen on; None for all addresses.

    Raises:
        AddressUnavailable: naming the option and what to do.
    """
    try:
        addresses = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise AddressUnavailable(
            f"--listen-address {address!r} is no address of this machine: {_reason(error)}. Give "
            "an IP address, or leave the option out to listen on all of them."
        ) from None
    listeners: list[socket.socket] = []
    problem: OSError | None = None
    for family, _, _, _, where in addresses:
        try:
            chosen = listeners[0].getsockname()[1] if listeners and not port else where[1]
            listeners.append(_bound(family, (where[0], chosen, *where[2:])))
        except OSError as error:
            if error.errno not in _NO_SUCH_FAMILY or address is not None:
                _close(listeners)
                raise _unavailable(option, port, str(where[0]), error) from None
            problem = error
    if not listeners:
        raise _unavailable(option, port, "any address", problem or OSError("there is none"))
    return listeners


def _bound(family: int, where: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port is free for the next process although connections to the last one are not over.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # The socket of IPv4 has the same port.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(where)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _unavailable(option: str, port: int, where: str, error: OSError) -> AddressUnavailable:
    return AddressUnavailable(
        f"The port {port} of {option} cannot be opened on {where}: {_reason(error)}. Choose "
        f"another with {option} or --listen-address, or end the process that has it."
    )


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "no name has these characters, or as many"
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _close(listeners: Listeners) -> None:
    for listener in listeners:
        listener.close()
