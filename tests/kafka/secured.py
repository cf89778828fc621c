"""A broker behind TLS and SASL, and authorities that nobody but the tests believes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.kafka.cluster import Cluster

USERNAME = "cairn"
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Somebody who says of a key whose it is."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        extension = x509.BasicConstraints(ca=True, path_length=0)
        built = _builder(name, name, key).add_extension(extension, critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        uses = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        built = built.add_extension(identifier, critical=False).add_extension(uses, critical=True)
        return cls(key, built.sign(key, hashes.SHA256()))

    def write(self, path: Path) -> Path:
        """Its certificate, as who believes it is given it."""
        path.write_bytes(_pem(self.certificate))
        return path

    def vouch(self, path: Path) -> Path:
        """A key and a certificate of a server on the loopback address, in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        )
        of = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        built = _builder("localhost", str(issuer), key).add_extension(names, critical=False)
        signed = built.add_extension(of, critical=False).sign(self.key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(secret + _pem(signed) + _pem(self.certificate))
        return path


def secured(folder: Path, keystore: Path, password: str) -> Cluster:
    """One broker that takes clients by TLS and the password of `USERNAME` only."""
    client = "listener.name.secured"
    plain = f'{PLAIN} required user_{USERNAME}="{password}";'
    scram = f"{SCRAM} required;"
    properties = {
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        f"{client}.plain.sasl.jaas.config": plain,
        f"{client}.scram-sha-256.sasl.jaas.config": scram,
        f"{client}.scram-sha-512.sasl.jaas.config": scram,
        f"{client}.ssl.keystore.type": "PEM",
        f"{client}.ssl.keystore.location": keystore,
    }
    users = [
        f"{mechanism}=[name={USERNAME},password={password}]"
        for mechanism in MECHANISMS
        if mechanism.startswith("SCRAM")
    ]
    return Cluster(folder, secured=properties, users=users)


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
