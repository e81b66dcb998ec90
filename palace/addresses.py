"""Which addresses are public: what a server may contact because a client said so. Pure: nothing is looked up here.

Public means global unicast by the IANA registries of special-purpose addresses (RFC 6890). Whatever carries an IPv4
address inside an IPv6 one (mapped, 6to4, NAT64, Teredo) is not: it may lead to any address, public or not.
"""

import unicodedata
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Networks = Sequence[Network]

NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # The services of a machine's host on Azure: a public range, but not a public server.
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
NOT_PUBLIC_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))

LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa")
"""last labels of names that lead to this machine or stay within a network"""
IDEOGRAPHIC_FULL_STOP = "\u3002"
LONGEST_NAME = 253
LONGEST_LABEL = 63
"""characters of a name and of each part of it (RFC 1035)"""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks from a comma-separated list; `all` is every address, `none` or nothing is no network.

    Raises ValueError with a sentence about the first that is none.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["none"]:
        return ()
    if words == ["all"]:
        return (ip_network("0.0.0.0/0"), ip_network("::/0"))
    try:
        return tuple(ip_network(word) for word in words)
    except ValueError as error:
        raise ValueError(f"{error}. Write networks as in 10.0.0.0/8,fd00::/8, or all, or none") from error


def is_public_address(address: Address | str, allowed: Networks = ()) -> bool:
    """Whether a server may contact this address because a client said so: a public one, or one in `allowed`.

    Raises ValueError when the text is no address.
    """
    address = ip_address(address) if isinstance(address, str) else address
    if any(_without_envelope(address) in network for network in allowed):
        return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_V4)
    if address.scope_id:
        return False
    return address in GLOBAL_UNICAST and not any(address in network for network in NOT_PUBLIC_V6)


def _without_envelope(address: Address) -> Address:
    """The IPv4 address of an IPv4-mapped one: to the system the two are the same."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def is_public_host(host: str, allowed: Networks = ()) -> bool:
    """Whether the host of a URL may be public: an address that is, or a name that is not known to be local.

    A name is judged again when it is looked up. A number that is no address in its usual form (`2130706433`, `0x7f.1`,
    `0177.0.0.1`) is never public: programs read it in different ways.
    """
    name = _plain(host)
    if not name or any(character in name for character in "%/\\@?#") or not name.isprintable() or " " in name:
        return False
    address = address_in(name)
    if address is not None:
        return is_public_address(address, allowed)
    if ":" in name or _ends_in_number(name) or not _fits_a_question(name):
        return False
    return bool(allowed) or not any(f".{name}".endswith(f".{local}") for local in LOCAL_NAMES)


def address_in(host: str) -> Address | None:
    """The address that the host of a URL is, in its usual form; None for a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host)
    except ValueError:
        return None


def _plain(host: str) -> str:
    """A host as the domain name system reads it: `ⓛocalhost。` is `localhost`."""
    name = unicodedata.normalize("NFKC", host).replace(IDEOGRAPHIC_FULL_STOP, ".").lower()
    return name.removesuffix(".")


def _fits_a_question(name: str) -> bool:
    """Whether the domain name system can be asked for this name: `127.0.0.1..` has a part that is empty."""
    return len(name) <= LONGEST_NAME and all(0 < len(label) <= LONGEST_LABEL for label in name.split("."))


def _ends_in_number(name: str) -> bool:
    """Whether programs would read this name as an IPv4 address (WHATWG URL, "ends in a number")."""
    last = name.rpartition(".")[2]
    return last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))
