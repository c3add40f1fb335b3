//! TLS towards a server, by rustls. What is trusted is the same for all connections of a process: the certificates that the
//! system trusts, or those of one file.

use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::connection::{TcpBased, left, unless_transient};
use crate::program::Failure;

impl TcpBased for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// Set before the first connection, or by it.
static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();

/// Trusts the certificates in `file` (PEM) from now on, and no others. To be called before the first connection.
///
/// # Errors
/// [`Failure::Failed`] if there are none in the file.
pub fn trust(file: &Path) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::while_doing(format_args!("{}", file.display()), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))? {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"it must have a certificate in PEM format"));
    }
    let _ = CONFIG.set(configuration(roots));
    Ok(())
}

/// Trusts the system's certificates, except those that rustls cannot read.
fn system() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("this system has no certificates that it trusts; --ca-file names some".into());
    }
    configuration(roots)
}

fn configuration(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Completes the handshake with `host` before `deadline`, so that nothing is sent to a server without a trusted certificate.
pub(super) fn connect(mut socket: TcpStream, host: &str, deadline: Instant) -> Result<Box<dyn TcpBased>, String> {
    let config = CONFIG.get_or_init(system).clone()?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let mut session = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
    while session.is_handshaking() {
        let left = left(deadline);
        if left.is_zero() {
            return Err(format!("{host} did not answer in time by TLS"));
        }
        socket.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
        socket.set_write_timeout(Some(left)).map_err(|error| error.to_string())?;
        session
            .complete_io(&mut socket)
            .map(|_| ())
            .or_else(unless_transient)
            .map_err(|error| format!("no TLS with {host}: {}", explained(&error)))?;
    }
    Ok(Box::new(StreamOwned::new(session, socket)))
}

/// Returns the text of an error; for a certificate as openssl makes it by default, how to make a better one.
fn explained(error: &std::io::Error) -> String {
    let text = error.to_string();
    if text.contains("CaUsedAsEndEntity") {
        return "its certificate is one for authorities; with openssl req, -addext basicConstraints=critical,CA:FALSE makes one \
                for servers"
            .into();
    }
    text
}
