"""Certificates for the suites, made by the `openssl` command: an authority of a test's own, and
what it issues.  Standard library only."""
import ssl
import subprocess
from pathlib import Path

HOST = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*words):
    r = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, f"openssl {words[0]}: {r.stderr.strip().splitlines()[-3:]}"


class Authority:
    """A root certificate, `ca`, in `directory`."""

    def __init__(self, directory, name="interop authority"):
        self.directory = Path(directory)
        self.stem = name.replace(" ", "-")
        self.ca, self._key = self._path("pem"), self._path("key")
        openssl("req", "-x509", *KEY, "-keyout", self._key, "-out", self.ca, "-days", 2,
                "-subj", f"/CN={name}",
                # Python 3.13 checks by the letter of RFC 5280 4.2.1.3.
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _path(self, ending):
        return str(self.directory / f"{self.stem}.{ending}")

    def issue(self, name="server", alternatives=HOST, days=2, purpose="serverAuth"):
        """The paths of a new certificate and its key.  Negative `days`: it has expired."""
        stem = str(self.directory / f"{self.stem}-{name}")
        cert, key, request = stem + ".pem", stem + ".key", stem + ".csr"
        openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                "-addext", "subjectAltName=" + ",".join(alternatives),
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "extendedKeyUsage=" + purpose)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-out", cert,
                "-days", days, "-copy_extensions", "copyall")
        return cert, key

    def context(self):
        """Of a Python client that trusts this authority alone."""
        return ssl.create_default_context(cafile=self.ca)
