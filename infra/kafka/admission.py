"""Whether brokers let this process in, asked once at the start.

The client library waits for brokers in whatever way they fail. That is right for brokers that are
away, and wrong for a password that they refuse or a certificate that nobody vouches for: no waiting
mends these. It does not say which it was either, as it often misses the refusal and sees only that
the connection was closed. So the first words of a connection are spoken here, by Kafka's protocol
guide (SaslHandshake version 1, SaslAuthenticate version 0), and what they lack is said in a
sentence that names the setting.
"""

import socket
import ssl
from contextlib import ExitStack

from kafka.net.sasl import get_sasl_mechanism

from infra.kafka.brokers import ANSWER_MILLISECONDS, Brokers

HANDSHAKE, HANDSHAKE_VERSION = 17, 1
AUTHENTICATE, AUTHENTICATE_VERSION = 36, 0
UNSUPPORTED_MECHANISM, REFUSED = 33, 58
"""Kafka's error codes; any other than 0 is none that a setting mends."""
ANSWER_BYTES_MAX = 65_536
ROUNDS_MAX = 4


class NotAdmitted(Exception):
    """Brokers were reached and it will not do; the message is a sentence for a person, without any
    secret."""


def admitted(brokers: Brokers) -> None:
    """Ask each broker of the settings. NotAdmitted; brokers that are away are none of its business.

    Without TLS and SASL there is nothing to be refused, and nobody is asked.
    """
    context = _context(brokers) if brokers.security_protocol.endswith("SSL") else None
    if context is None and brokers.sasl_mechanism is None:
        return
    for address in brokers.bootstrap:
        try:
            _asked(brokers, address, context)
        except ssl.SSLCertVerificationError as error:
            raise NotAdmitted(
                f"The certificate of {address} is not to be believed by CAIRN_KAFKA_CA_FILE:"
                f" {error.verify_message}."
            ) from None
        except ssl.SSLError:
            raise NotAdmitted(
                f"{address} does not speak TLS with us, as CAIRN_KAFKA_SECURITY_PROTOCOL asks for."
            ) from None
        except OSError:
            continue  # away: whoever needs it waits for it


def _context(brokers: Brokers) -> ssl.SSLContext:
    """As the client makes one of the same files."""
    try:
        context = ssl.create_default_context(cafile=brokers.ca_file)
    except (ssl.SSLError, ValueError):
        raise NotAdmitted("CAIRN_KAFKA_CA_FILE holds no certificate as PEM.") from None
    if brokers.certificate_file is not None:
        try:
            context.load_cert_chain(brokers.certificate_file, brokers.key_file)
        except (ssl.SSLError, ValueError):
            raise NotAdmitted(
                "CAIRN_KAFKA_CERTIFICATE_FILE and CAIRN_KAFKA_KEY_FILE hold no certificate and its"
                " key as PEM."
            ) from None
    return context


def _asked(brokers: Brokers, address: str, context: ssl.SSLContext | None) -> None:
    """Connect as a client does, and leave. NotAdmitted, OSError (of which TLS's errors are)."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    with ExitStack() as stack:
        seconds = ANSWER_MILLISECONDS / 1_000
        connection = stack.enter_context(socket.create_connection((host, int(port)), seconds))
        if context is not None:
            wrapped = context.wrap_socket(connection, server_hostname=host)
            connection = stack.enter_context(wrapped)
        if brokers.sasl_mechanism is not None:
            _authenticated(connection, brokers, host)


def _authenticated(connection: socket.socket, brokers: Brokers, host: str) -> None:
    mechanism = get_sasl_mechanism(brokers.sasl_mechanism)(host=host, **brokers.options())
    name = str(brokers.sasl_mechanism).encode()
    words = len(name).to_bytes(2) + name
    _admitted(_said(connection, HANDSHAKE, HANDSHAKE_VERSION, words), brokers)
    for _ in range(ROUNDS_MAX):
        token: bytes = mechanism.auth_bytes()
        words = len(token).to_bytes(4) + token
        answer = _said(connection, AUTHENTICATE, AUTHENTICATE_VERSION, words)
        _admitted(answer, brokers)
        try:
            mechanism.receive(_token(answer))
        except (KeyError, ValueError):
            # A broker that cannot show that it knows the password as well.
            raise NotAdmitted("The broker does not know the password itself.") from None
        if mechanism.is_done():
            return


def _said(connection: socket.socket, what: int, version: int, words: bytes) -> bytes:
    """Send one request without a client's name; what is answered, from its error code on."""
    request = b"".join((what.to_bytes(2), version.to_bytes(2), bytes(4), b"\xff\xff", words))
    connection.sendall(len(request).to_bytes(4) + request)
    size = int.from_bytes(_read(connection, 4))
    if not 6 <= size <= ANSWER_BYTES_MAX:
        raise ConnectionError("no answer of a broker")
    return _read(connection, size)[4:]


def _read(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = connection.recv(size - len(found))
        if not more:
            raise ConnectionError("the connection was closed")
        found += more
    return found


def _admitted(answer: bytes, brokers: Brokers) -> None:
    match int.from_bytes(answer[:2]):
        case 0:
            return
        case code if code == UNSUPPORTED_MECHANISM:
            raise NotAdmitted(
                f"The brokers do not take {brokers.sasl_mechanism}, which"
                " CAIRN_KAFKA_SASL_MECHANISM asks for."
            )
        case code if code == REFUSED:
            raise NotAdmitted(
                "The brokers refuse the name and the password of CAIRN_KAFKA_USERNAME and"
                " CAIRN_KAFKA_PASSWORD_FILE."
            )
    raise ConnectionError("an answer for which no setting is to blame")


def _token(answer: bytes) -> bytes:
    """The mechanism's bytes of an answer: after the error's code and text (-1: none)."""
    text = int.from_bytes(answer[2:4], signed=True)
    at = 4 + max(0, text)
    size = int.from_bytes(answer[at : at + 4], signed=True)
    return answer[at + 4 : at + 4 + max(0, size)]
