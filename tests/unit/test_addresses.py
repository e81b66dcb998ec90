"""Which addresses and hosts are public: a table of the classic ways around a guard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.addresses import is_public_address, is_public_host, parse_networks


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("8.8.8.8", id="a public resolver"),
        pytest.param("172.15.255.255", id="just below a private range"),
        pytest.param("172.32.0.0", id="just above a private range"),
        pytest.param("100.63.255.255", id="just below carrier-grade NAT"),
        pytest.param("223.255.255.255", id="just below multicast"),
        pytest.param("2606:4700::1111", id="IPv6"),
        pytest.param("2001:4860:4860::8888", id="IPv6 beside the special range of 2001::"),
    ],
)
def test_global_unicast_is_public(address: str) -> None:
    assert is_public_address(address)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.255.255.254", id="the far end of loopback"),
        pytest.param("0.0.0.0", id="unspecified, which reaches this machine"),
        pytest.param("0.1.2.3", id="this network"),
        pytest.param("10.0.0.1", id="private, 10"),
        pytest.param("172.16.0.1", id="private, 172.16"),
        pytest.param("172.31.255.255", id="private, 172.31"),
        pytest.param("192.168.1.1", id="private, 192.168"),
        pytest.param("169.254.169.254", id="metadata"),
        pytest.param("169.254.170.2", id="metadata of containers"),
        pytest.param("168.63.129.16", id="metadata on Azure"),
        pytest.param("100.100.100.200", id="metadata on Alibaba"),
        pytest.param("192.0.0.192", id="metadata on Oracle"),
        pytest.param("100.64.0.1", id="carrier-grade NAT"),
        pytest.param("192.0.2.1", id="documentation"),
        pytest.param("198.18.0.1", id="benchmarks"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("::1", id="IPv6 loopback"),
        pytest.param("::", id="IPv6 unspecified"),
        pytest.param("fe80::1", id="IPv6 link-local"),
        pytest.param("fe80::1%eth0", id="IPv6 with a zone"),
        pytest.param("2606:4700::1111%1", id="public IPv6 with a zone"),
        pytest.param("fec0::1", id="IPv6 site-local"),
        pytest.param("fd00::1", id="IPv6 private"),
        pytest.param("fd00:ec2::254", id="IPv6 metadata"),
        pytest.param("ff02::1", id="IPv6 multicast"),
        pytest.param("2001:db8::1", id="IPv6 documentation"),
        pytest.param("3fff::1", id="IPv6 documentation, the newer one"),
        pytest.param("100::1", id="IPv6 discard"),
        pytest.param("::ffff:127.0.0.1", id="IPv4-mapped loopback"),
        pytest.param("::ffff:a9fe:a9fe", id="IPv4-mapped metadata in hexadecimal"),
        pytest.param("::ffff:8.8.8.8", id="IPv4-mapped, public"),
        pytest.param("::127.0.0.1", id="IPv4-compatible"),
        pytest.param("64:ff9b::7f00:1", id="NAT64"),
        pytest.param("64:ff9b:1::7f00:1", id="NAT64 within a network"),
        pytest.param("2002:7f00:1::", id="6to4"),
        pytest.param("2001:0:7f00:1::", id="Teredo"),
    ],
)
def test_everything_else_is_not(address: str) -> None:
    assert not is_public_address(address)
    assert is_public_address(address, parse_networks("all"))


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("2130706433", id="decimal"),
        pytest.param("017700000001", id="octal"),
        pytest.param("0x7f000001", id="hexadecimal"),
        pytest.param("0x7f.0.0.1", id="hexadecimal first part"),
        pytest.param("127.0.0.0x1", id="hexadecimal last part"),
        pytest.param("0177.0.0.1", id="octal first part"),
        pytest.param("127.1", id="two parts"),
        pytest.param("127.0.1", id="three parts"),
        pytest.param("127.0.0.1.", id="with the final dot"),
        pytest.param("134744072", id="decimal, public"),
        pytest.param("1.2.3.4.5", id="five parts"),
        pytest.param("256.0.0.1", id="a part too large"),
        pytest.param("0x", id="no digits"),
        pytest.param("127。0。0。1", id="ideographic full stops"),
        pytest.param("１２７.0.0.1", id="full-width digits"),  # noqa: RUF001
        pytest.param("①②⑦.0.0.1", id="circled digits"),
        pytest.param("[::1]", id="IPv6"),
        pytest.param("::1", id="IPv6 without brackets"),
        pytest.param("[::ffff:127.0.0.1]", id="IPv4-mapped"),
        pytest.param("[::ffff:7f00:1]", id="IPv4-mapped in hexadecimal"),
        pytest.param("[0:0:0:0:0:ffff:169.254.169.254]", id="IPv4-mapped, written out"),
        pytest.param("[fe80::1%25eth0]", id="a zone"),
        pytest.param("[::1", id="half a bracket"),
        pytest.param("localhost", id="localhost"),
        pytest.param("LOCALHOST.", id="localhost in capitals with the final dot"),
        pytest.param("ⓛocalhost", id="localhost with a circled letter"),
        pytest.param("app.localhost", id="below localhost"),
        pytest.param("localhost.localdomain", id="localdomain"),
        pytest.param("printer.local", id="mDNS"),
        pytest.param("metadata.google.internal", id="metadata by name"),
        pytest.param("router.home.arpa", id="home network"),
        pytest.param("127%2e0%2e0%2e1", id="percent-encoded"),
        pytest.param("a b", id="a blank"),
        pytest.param("a\x00.example.com", id="a control character"),
        pytest.param("evil@127.0.0.1", id="a user name"),
        pytest.param("", id="nothing"),
        pytest.param(".", id="only a dot"),
        pytest.param("127.0.0.1..", id="two final dots"),
        pytest.param("localhost..", id="localhost with two final dots"),
        pytest.param("a..example.com", id="an empty part"),
        pytest.param("a" * 64 + ".example.com", id="a part that is too long"),
        pytest.param("a." * 130 + "com", id="a name that is too long"),
    ],
)
def test_a_host_that_leads_inwards_is_not_public(host: str) -> None:
    assert not is_public_host(host)


@pytest.mark.parametrize("host", ["example.com", "EXAMPLE.com.", "xn--bcher-kva.example", "bücher.example", "8.8.8.8"])
def test_a_name_may_be_public(host: str) -> None:
    assert is_public_host(host)


@pytest.mark.parametrize(
    ("networks", "address", "is_allowed"),
    [
        pytest.param("127.0.0.0/8", "127.0.0.1", True, id="in the network"),
        pytest.param("127.0.0.0/8", "::ffff:127.0.0.1", True, id="mapped, in the network"),
        pytest.param("127.0.0.0/8", "10.0.0.1", False, id="another one"),
        pytest.param("10.0.0.1, fd00::/8", "fd00::1", True, id="several, one a single address"),
        pytest.param("none", "127.0.0.1", False, id="none"),
        pytest.param("", "127.0.0.1", False, id="nothing"),
        pytest.param("127.0.0.0/8", "8.8.8.8", True, id="public ones stay allowed"),
    ],
)
def test_an_operator_allows_networks(networks: str, address: str, is_allowed: bool) -> None:
    assert is_public_address(address, parse_networks(networks)) is is_allowed


def test_with_a_network_allowed_local_names_are_left_to_the_addresses_they_lead_to() -> None:
    allowed = parse_networks("127.0.0.0/8")
    assert is_public_host("localhost", allowed)
    assert not is_public_host("2130706433", allowed)
    assert not is_public_host("[::1]", allowed)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "lan", "all,10.0.0.0/8", "10.0.0.0/8;fd00::/8"])
def test_a_network_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="Write networks as in"):
        parse_networks(text)


@given(st.ip_addresses(v=4))
def test_no_wrapped_ipv4_address_is_public(address: object) -> None:
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}", f"::{address}"):
        assert not is_public_address(wrapped)


@given(st.ip_addresses())
def test_what_is_public_is_global_to_the_standard_library_too(address: object) -> None:
    if is_public_address(address):  # type: ignore[arg-type]
        assert address.is_global and not address.is_multicast  # type: ignore[attr-defined]
