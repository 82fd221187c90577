//! TLS: rustls with ring, the platform's roots and the operator's own.
//!
//! Invariant: certificates are always verified, against the name of the URL. Nothing here can switch it off.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use crate::EgressError;

/// The settings of every TLS connection; nothing where there is no root to trust.
///
/// On Linux the roots are those of the distribution, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
pub(crate) fn client_config(extra_roots_pem: &[Vec<u8>]) -> Result<Option<Arc<ClientConfig>>, EgressError> {
    let extra = extra_roots(extra_roots_pem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match Verifier::new_with_extra_roots(extra, Arc::clone(&provider)) {
        Ok(verifier) => verifier,
        Err(error) => {
            tracing::warn!(%error, "no root certificates on this machine: https will not work");
            return Ok(None);
        }
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressError::Setup(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn extra_roots(pems: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, EgressError> {
    let mut roots = Vec::new();
    for pem in pems {
        let before = roots.len();
        for root in CertificateDer::pem_slice_iter(pem) {
            let root = root.map_err(|error| unusable(&error))?;
            RootCertStore::empty().add(root.clone()).map_err(|error| unusable(&error))?;
            roots.push(root);
        }
        if roots.len() == before {
            return Err(unusable(&"it holds no certificate"));
        }
    }
    Ok(roots)
}

fn unusable(error: &dyn std::fmt::Display) -> EgressError {
    EgressError::Setup(format!("an extra root certificate cannot be used: {error}; it must be a certificate in PEM"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_none_is_refused() {
        for pem in [&b""[..], b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = client_config(&[pem.to_vec()]).unwrap_err();
            assert_eq!(error.code(), "internal");
            assert!(error.to_string().starts_with("an extra root certificate cannot be used: "), "{error}");
        }
    }
}
