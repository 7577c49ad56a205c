"""A throw-away certificate authority and server certificates, made at run time with the openssl command."""

import os
import ssl
import subprocess


def _openssl(*args, cwd):
    subprocess.run(["openssl", *args], cwd=cwd, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Certs:
    """A CA in a folder of its own. `ca_file` is what the gateway is told to trust."""

    def __init__(self, folder, name="llm-gateway test CA"):
        self.folder = os.fspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.ca_file = os.path.join(self.folder, "ca.pem")
        self._made = {}
        open(os.path.join(self.folder, "index.txt"), "w").close()
        with open(os.path.join(self.folder, "serial"), "w") as f:
            f.write("1000\n")
        with open(os.path.join(self.folder, "ca.cnf"), "w") as f:
            f.write("[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase=index.txt\nserial=serial\n"
                    "default_md=sha256\npolicy=p\nunique_subject=no\ncopy_extensions=copy\n[p]\ncommonName=supplied\n")
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key", cwd=self.folder)
        _openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", f"/CN={name}", "-days", "2",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
                 "-out", "ca.pem", cwd=self.folder)

    def server(self, names=("localhost", "127.0.0.1"), expired=False):
        """(certificate, key) paths for a server of these names; `expired` gives one that ended in 2020."""
        key = (tuple(names), expired)
        if key not in self._made:
            self._made[key] = self._issue(len(self._made), names, expired)
        return self._made[key]

    def _issue(self, number, names, expired):
        stem = f"server{number}"
        alt = ",".join(("IP:" if n.replace(".", "").isdigit() or ":" in n else "DNS:") + n for n in names)
        dates = ["-startdate", "190101000000Z", "-enddate", "200101000000Z"] if expired else ["-days", "2"]
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{stem}.key", cwd=self.folder)
        _openssl("req", "-new", "-key", f"{stem}.key", "-subj", f"/CN={names[0]}",
                 "-addext", f"subjectAltName={alt}", "-out", f"{stem}.csr", cwd=self.folder)
        _openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.pem", *dates,
                 "-in", f"{stem}.csr", "-out", f"{stem}.pem", cwd=self.folder)
        return os.path.join(self.folder, f"{stem}.pem"), os.path.join(self.folder, f"{stem}.key")

    def server_context(self, **kw):
        """An ssl.SSLContext that serves such a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.server(**kw))
        return context

    def client_context(self):
        """An ssl.SSLContext that trusts this CA alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        return context
