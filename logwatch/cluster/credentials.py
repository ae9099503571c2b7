"""Keys, certificates and the servers' configuration of a cluster, made in one directory.

    DIR/cluster.json  who is in it         DIR/ca.key  the authority: keep it off all these machines
    DIR/server/       for a server: server.conf, ca.pem, SERVER.pem, SERVER.key
    DIR/NAME/         for a gateway or controller: ca.pem, NAME.pem, NAME.key, for its [cluster] credentials

Everybody shows a certificate of this authority, and its name says who it is: the server gives rights by that alone. A
gateway may write the lines of its own name, and read the table; a controller may read the lines and write the table.
Each gateway has an account of its own, which takes from the controllers' account these two things: a server sends
answers wherever it is asked to, but within the account of who asks, so that no answer gets into a stream.
Made again, what is there stays, what is missing is added; who is left out of `cluster.json` has no rights any more.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from enforce.errors import ReportedError
from logwatch.cluster.names import lines_of

PORT = 4222
_READ = "$JS.API.DIRECT.GET.KV_table"
_ROUTES = 6222
_VALID = timedelta(days=3650)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
_ASKS = (ExtendedKeyUsageOID.CLIENT_AUTH,)
_SERVES = (ExtendedKeyUsageOID.SERVER_AUTH, *_ASKS)  # a server asks others
_SERVER = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9a-fA-F:.]{2,45}")


class RosterError(ReportedError):
    """Who is to be in the cluster cannot be: what is wrong."""

    status = 2


@dataclass(frozen=True)
class Roster:
    """Who is in a cluster: host names or addresses of servers, names of gateways and controllers."""

    servers: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()
    store: str = "/var/lib/nats"
    port: int = PORT

    def checked(self) -> Roster:
        """The same; RosterError if it cannot be."""
        for name in (*self.gateways, *self.controllers):
            if not _NAME.fullmatch(name):
                raise RosterError(f"expected a name of letters, digits, - and _ such as mx1, found {name!r}")
        for name in self.servers:
            if not _SERVER.fullmatch(name):
                raise RosterError(f"expected a host name or address, found {name!r}")
        if twice := {*self.gateways} & {*self.controllers}:
            raise RosterError(f"{min(twice)} cannot be a gateway and a controller under one name: give it two")
        if not (self.servers and self.gateways and self.controllers):
            raise RosterError("a cluster has at least one server, one gateway and one controller")
        return self


def known(directory: Path) -> Roster:
    """Who is in the cluster of a directory; nobody if there is none yet."""
    try:
        found = json.loads((directory / "cluster.json").read_bytes())
    except FileNotFoundError:
        return Roster()
    people = {kind: tuple(found[kind]) for kind in ("servers", "gateways", "controllers")}
    return Roster(**people, store=found["store"], port=found["port"])


def make(directory: Path, roster: Roster, now: datetime | None = None) -> None:
    """Make what is missing. OSError if it cannot be written."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = now or datetime.now(UTC)
    authority = _Authority.of(directory, now)
    for server in roster.servers:
        authority.grant(directory / "server", _file(server), [server], _SERVES, now)
    for role, names in (("gateway", roster.gateways), ("controller", roster.controllers)):
        for name in names:
            authority.grant(directory / name, name, [_user(name, role)], _ASKS, now)
    pins = [_pin(directory / "server" / f"{_file(server)}.pem") for server in roster.servers]
    for server in roster.servers:
        _write(directory / "server" / conf(roster, server), configuration(roster, server, pins).encode())
    _write(directory / "cluster.json", json.dumps(asdict(roster), indent=1).encode())


def configuration(roster: Roster, server: str, pins: Iterable[str]) -> str:
    """What nats-server reads; files are named as they lie beside it. `pins`: of the keys of all servers, by `_pin`."""
    ours = ", ".join(f'"{pin}"' for pin in pins)
    controllers = "\n".join(_rights(name, "controller", _CONTROLLER) for name in roster.controllers)
    gateways = "\n".join(map(_account, roster.gateways))
    routes = [f'"tls://{_bracketed(other)}:{_ROUTES}"' for other in roster.servers if other != server]
    tls = f'cert_file: "{_file(server)}.pem", key_file: "{_file(server)}.key", ca_file: "ca.pem"'
    together = f"""
cluster {{
  name: mailbrake
  listen: "0.0.0.0:{_ROUTES}"
  routes: [{", ".join(routes)}]
  tls {{ {tls}, verify: true, pinned_certs: [{ours}] }}
}}
"""
    return f"""\
# Written by `mailbrake cluster init`. Start it in this directory: nats-server -c {conf(roster, server)}
server_name: "{_file(server)}"
listen: "0.0.0.0:{roster.port}"
max_payload: 2MB
ping_interval: "5s"
write_deadline: "10s"
jetstream {{
  store_dir: "{roster.store}"
  sync_interval: always  # what was acknowledged survives a kill and a power cut
  max_mem: 64MB
  max_file: 16GB
}}
tls {{ {tls}, verify_and_map: true, timeout: 5 }}
accounts {{
  controllers {{
    jetstream: enabled
    exports: [
      {{ service: "lines.*" }}
      {{ service: "{_READ}", response_type: stream }}
      {{ stream: "table.>" }}
    ]
    users: [
{controllers}
    ]
  }}
{gateways}
}}
{together if routes else ""}"""


# What each role may publish and subscribe to; NAME is its own.
_GATEWAY = ((lines_of("NAME"), _READ), ("_INBOX_NAME.>", "table.>"))
_CONTROLLER = (
    (
        "reviews",
        "$KV.table.>",
        "$KV.shares.>",
        *(f"$JS.API.STREAM.{act}.{name}" for act in ("INFO", "CREATE", "UPDATE") for name in ("LINES", "KV_table")),
        *(f"$JS.API.STREAM.{act}.KV_shares" for act in ("INFO", "CREATE", "UPDATE")),
        "$JS.API.CONSUMER.CREATE.LINES",
        "$JS.API.CONSUMER.CREATE.LINES.>",
        _READ,
        "$JS.API.DIRECT.GET.KV_shares",
        "$JS.FC.>",
    ),
    ("_INBOX_NAME.>", "table.>"),
)


def _account(name: str) -> str:
    return f"""\
  gateway-{name} {{
    imports: [
      {{ service: {{ account: controllers, subject: "{lines_of(name)}" }} }}
      {{ service: {{ account: controllers, subject: "{_READ}" }} }}
      {{ stream: {{ account: controllers, subject: "table.>" }} }}
    ]
    users: [
{_rights(name, "gateway", _GATEWAY)}
    ]
  }}"""


def _rights(name: str, role: str, rights: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    publish, subscribe = (", ".join(f'"{subject.replace("NAME", name)}"' for subject in some) for some in rights)
    return (
        f'    {{ user: "{_user(name, role)}", permissions: {{ publish: {{ allow: [{publish}] }}, '
        f"subscribe: {{ allow: [{subscribe}] }} }} }}"
    )


def _user(name: str, role: str) -> str:
    return f"{name}.{role}.mailbrake"


def conf(roster: Roster, server: str) -> str:
    """The name of a server's configuration."""
    return "server.conf" if len(roster.servers) == 1 else f"{_file(server)}.conf"


def _file(server: str) -> str:
    return server.replace(":", "-")


def _bracketed(server: str) -> str:
    return f"[{server}]" if ":" in server else server


@dataclass(frozen=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def of(cls, directory: Path, now: datetime) -> _Authority:
        """The one in a directory, made if there is none."""
        if not (directory / "ca.key").exists():
            key = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mailbrake cluster")])
            made = _certificate(name, name, key.public_key(), now).add_extension(
                x509.BasicConstraints(ca=True, path_length=0), critical=True
            )
            identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            usage = _usage(signs=True)
            made = made.add_extension(identifier, critical=False).add_extension(usage, critical=True)
            certificate = made.sign(key, hashes.SHA256())
            _write(directory / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
            _write(directory / "ca.key", _pem(key))
        found = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
        assert isinstance(found, ec.EllipticCurvePrivateKey)
        return cls(found, x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes()))

    def grant(
        self, directory: Path, file: str, names: Iterable[str], purposes: Iterable[x509.ObjectIdentifier], now: datetime
    ) -> None:
        """A key and a certificate for these names, if there is none."""
        directory.mkdir(mode=0o700, exist_ok=True)
        _write(directory / "ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))
        if (directory / f"{file}.pem").exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file[:64])])
        certificate = (
            _certificate(subject, self.certificate.subject, key.public_key(), now)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        _write(directory / f"{file}.key", _pem(key))
        _write(directory / f"{file}.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pin(path: Path) -> str:
    """A certificate's key, as nats-server compares it: nobody else's certificate makes a server."""
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """A file that only its owner may read, put in place as a whole."""
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)


def merged(before: Roster, more: Mapping[str, Iterable[str]], without: Iterable[str] = ()) -> Roster:
    """A roster with more in it, and without some."""
    gone = set(without)
    named = {
        kind: tuple(name for name in dict.fromkeys((*getattr(before, kind), *more.get(kind, ()))) if name not in gone)
        for kind in ("servers", "gateways", "controllers")
    }
    return Roster(**named, store=before.store, port=before.port)
