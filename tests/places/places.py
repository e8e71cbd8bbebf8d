"""A MaxMind file of a few networks, as GeoLite2 City is made."""

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

LONDON, SWISS, GLASGOW_6 = "81.2.69.142", "178.197.0.1", "2a02:ff0::1"


def a_file(path: Path, *, kind: str = "GeoLite2-City") -> Path:
    writer = MMDBWriter(6, kind, languages=["en"], description="a test", ipv4_compatible=True)
    london = {"city": {"names": {"en": "London", "de": "London"}}, "country": {"iso_code": "GB"}}
    glasgow = {"city": {"names": {"en": "Glasgow"}}, "country": {"iso_code": "GB"}}
    odd = {"city": {"names": {"en": "A\x1b[31mB\nC"}}, "country": {"iso_code": "XX"}}
    writer.insert_network(IPSet([f"{LONDON}/24", "10.0.0.0/8", "127.0.0.0/8"]), london)
    writer.insert_network(IPSet([f"{SWISS}/24"]), {"country": {"iso_code": "CH"}})
    writer.insert_network(IPSet([f"{GLASGOW_6}/32"]), glasgow)
    writer.insert_network(IPSet(["9.9.9.0/24"]), odd)
    writer.insert_network(IPSet(["9.9.8.0/24"]), {"city": "?", "country": ["?"]})
    writer.insert_network(IPSet(["9.9.7.0/24"]), {"continent": {"code": "EU"}})
    made = path.with_suffix(".new")  # a program that begins meanwhile reads the one before
    writer.to_db_file(str(made))
    return made.replace(path)
