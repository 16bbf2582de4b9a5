"""The HTTP proxy before the API server: one rule for all connections of the operator.

``aiohttp`` reads the variables as Python's standard library does, which knows no networks in
``NO_PROXY``; Kopf reads none. The rule is that of the synchronous client library, by which
``kubectl blockqnn`` connects: names, their domains, addresses, networks in CIDR form, and ``*``.
"""

from urllib.parse import urlsplit
from urllib.request import getproxies

from kubernetes.client.rest import should_bypass_proxies


def proxy_for(server: str, configured: str | None = None) -> str | None:
    """Return the URL of the proxy for an API server; None to connect without one.

    Args:
        server: the URL of the API server.
        configured: the proxy that the kubeconfig names; None for that of the environment.
    """
    proxies = getproxies()
    proxy = configured or proxies.get(urlsplit(server).scheme) or proxies.get("all")
    if not proxy or should_bypass_proxies(server, proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
