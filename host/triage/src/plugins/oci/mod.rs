//! Plugins in OCI registries: one artefact, its component as a layer of `application/wasm`, its manifest and its signature
//! as layers of their own. Pulled by digest alone; what a tag means today is nothing to pin.
//!
//! Invariant: nothing is handed on whose bytes are not those of the digest that the operator named: the artefact's
//! manifest is checked against it, each layer against the artefact's manifest. Sizes are bounded before they are read.
//! Credentials go to the registry that was named, and to nobody that it redirects to.

mod client;
mod push;
mod reference;

use std::collections::BTreeMap;

use fumehood_egress::Egress;
use fumehood_policy::MAX_MANIFEST_BYTES;
use fumehood_runtime::limits;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use self::client::Client;
pub use self::push::push;
pub use self::reference::Reference;
use super::install::Package;
use super::signature::MAX_SIGNATURE_BYTES;

/// The component.
const COMPONENT: &str = "application/wasm";
/// `fumehood.toml`, where the component carries none.
const MANIFEST: &str = "application/vnd.fumehood.plugin.manifest.v1+toml";
/// A signature, ours or minisign's.
const SIGNATURE: &str = "application/vnd.fumehood.plugin.signature.v1";
/// What an artefact's manifest is.
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What an artefact's empty configuration is.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Longest manifest of an artefact, bytes: what registries take.
const IMAGE_BYTES: usize = 4 << 20;

/// Why an artefact was not fetched or stored, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OciError(String);

fn wrong(message: impl Into<String>) -> OciError {
    OciError(message.into())
}

/// How to sign in at a registry.
#[derive(Clone, Debug, Default)]
pub struct SignIn {
    pub username: String,
    pub password: Option<SecretString>,
}

impl SignIn {
    /// As a person typed it; an empty password is none.
    #[must_use]
    pub fn typed(username: String, password: String) -> Self {
        Self { username, password: Some(password).filter(|text| !text.is_empty()).map(SecretString::from) }
    }
}

/// An artefact's manifest, as far as it matters.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// Fetch a plugin by its digest.
///
/// # Errors
/// [`OciError`].
pub async fn pull(egress: &Egress, reference: &Reference, sign_in: SignIn) -> Result<Package, OciError> {
    let digest = reference.digest.clone().ok_or_else(|| {
        wrong(format!(
            "Name the plugin by its digest: oci://{}@sha256:…. A tag may mean something else tomorrow.",
            reference.name()
        ))
    })?;
    let mut client = Client::new(egress, reference, sign_in)?;
    let bytes = client.manifest(&digest, IMAGE, IMAGE_BYTES).await?;
    client::check_digest(&bytes, &digest, "the artefact's manifest")?;
    let image: Image = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("{} is no OCI artefact of one plugin: {error}", reference.name())))?;
    if image.layers.is_empty() {
        return Err(wrong(format!("{} has no layers; an index of several images is not taken.", reference.name())));
    }
    let mut package = Package { source: format!("oci://{}@{digest}", reference.name()), ..Package::default() };
    let one = |media_type: &str| -> Result<Option<Descriptor>, OciError> {
        let mut all = image.layers.iter().filter(|layer| layer.media_type == media_type);
        match (all.next(), all.next()) {
            (Some(layer), None) => Ok(Some(layer.clone())),
            (None, _) => Ok(None),
            _ => Err(wrong(format!("{} has several layers of {media_type}; a plugin has one.", reference.name()))),
        }
    };
    let component = one(COMPONENT)?.ok_or_else(|| {
        wrong(format!("{} has no layer of {COMPONENT}: it is no WebAssembly plugin.", reference.name()))
    })?;
    package.component = client.blob(&component, limits::COMPONENT_BYTES).await?;
    let text = |bytes: Vec<u8>, what: &str| {
        String::from_utf8(bytes).map_err(|_| wrong(format!("The {what} of {} is no text.", reference.name())))
    };
    if let Some(layer) = one(MANIFEST)? {
        package.manifest = Some(text(client.blob(&layer, MAX_MANIFEST_BYTES).await?, "manifest")?);
    }
    if let Some(layer) = one(SIGNATURE)? {
        package.signature = Some(text(client.blob(&layer, MAX_SIGNATURE_BYTES).await?, "signature")?);
    }
    Ok(package)
}
