//! What several of the programs need: a certificate, and a line that says where they listen.

use std::ffi::OsString;
use std::io;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Makes a certificate for `localhost`, writes it to a file, for clients to trust, and returns it
/// with its key.
pub fn certificate(path: &str) -> io::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.map_err(io::Error::other)?;
    std::fs::write(path, made.cert.pem())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((made.cert.der().clone(), key.into()))
}

/// A TLS server with a certificate of its own, which it writes to a file.
pub fn server_config(path: &str) -> io::Result<ServerConfig> {
    let (certificate, key) = certificate(path)?;
    let config = ServerConfig::builder().with_no_client_auth();
    config.with_single_cert(vec![certificate], key).map_err(io::Error::other)
}

/// A TLS client that trusts the certificate in a file, and no other.
pub fn client_config(path: &str) -> io::Result<ClientConfig> {
    let certificate = CertificateDer::from_pem_file(path).map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// The arguments of the program, so many.
pub fn arguments<const N: usize>(usage: &str) -> [String; N] {
    all_arguments(usage).try_into().unwrap_or_else(|_| refuse(usage))
}

/// The arguments of the program, if all are text.
pub fn all_arguments(usage: &str) -> Vec<String> {
    let arguments = std::env::args_os().skip(1).map(OsString::into_string);
    arguments.collect::<Result<_, _>>().unwrap_or_else(|_| refuse(usage))
}

/// Ends the program, which was given something else than it takes.
pub fn refuse(usage: &str) -> ! {
    eprintln!("usage: {usage}");
    std::process::exit(2)
}

/// An error of another crate, as one of I/O.
pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}
