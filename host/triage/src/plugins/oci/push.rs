//! Storing a plugin in a registry; gives the digest by which it is installed.

use bytes::Bytes;
use fumehood_egress::Egress;
use sha2::{Digest as _, Sha256};

use super::client::{Client, header};
use super::{COMPONENT, Descriptor, EMPTY, IMAGE, Image, MANIFEST, OciError, Reference, SIGNATURE, SignIn, wrong};
use crate::plugins::{Digest, Package};

/// Longest answer of a registry to an upload, bytes.
const ANSWER: usize = 1 << 20;

/// Store a plugin under a tag.
///
/// # Errors
/// [`OciError`].
pub async fn push(
    egress: &Egress,
    reference: &Reference,
    sign_in: SignIn,
    package: &Package,
) -> Result<String, OciError> {
    let tag =
        reference.tag.clone().ok_or_else(|| wrong("Name a tag to store it under: oci://registry/repository:1.0.0"))?;
    let mut client = Client::new(egress, reference, sign_in)?;
    let mut layers = vec![upload(&mut client, reference, COMPONENT, package.component.clone()).await?];
    for (media_type, text) in [(MANIFEST, &package.manifest), (SIGNATURE, &package.signature)] {
        if let Some(text) = text {
            layers.push(upload(&mut client, reference, media_type, text.clone().into_bytes()).await?);
        }
    }
    let image = Image {
        schema_version: 2,
        media_type: Some(IMAGE.into()),
        artifact_type: Some(COMPONENT.into()),
        config: upload(&mut client, reference, EMPTY, b"{}".to_vec()).await?,
        layers,
        annotations: Default::default(),
    };
    let bytes = serde_json::to_vec(&image).map_err(|error| wrong(error.to_string()))?;
    let digest = format!("sha256:{}", Digest::new(Sha256::digest(&bytes).into()));
    let url = url(reference, &format!("manifests/{tag}"))?;
    let headers = [("content-type", IMAGE)];
    let mut answer = client.signed_in("PUT", url, &headers, Bytes::from(bytes), "pull,push", ANSWER).await?;
    if answer.status() != 201 {
        let status = answer.status();
        return Err(client.refused(status, &mut answer).await);
    }
    Ok(format!("oci://{}@{digest}", reference.name()))
}

fn url(reference: &Reference, path: &str) -> Result<url::Url, OciError> {
    reference.base.join(&format!("v2/{}/{path}", reference.repository)).map_err(|error| wrong(error.to_string()))
}

/// Store a blob, in one piece.
async fn upload(
    client: &mut Client<'_>,
    reference: &Reference,
    media_type: &str,
    bytes: Vec<u8>,
) -> Result<Descriptor, OciError> {
    let digest = format!("sha256:{}", Digest::new(Sha256::digest(&bytes).into()));
    let descriptor = Descriptor { media_type: media_type.into(), digest: digest.clone(), size: bytes.len() as u64 };
    let begin = url(reference, "blobs/uploads/")?;
    let mut answer = client.signed_in("POST", begin.clone(), &[], Bytes::new(), "pull,push", ANSWER).await?;
    if answer.status() != 202 {
        let status = answer.status();
        return Err(client.refused(status, &mut answer).await);
    }
    let to = header(&answer, "location").and_then(|to| begin.join(to).ok());
    let mut to = to.ok_or_else(|| wrong("The registry does not say where to upload to."))?;
    if to.origin() != reference.base.origin() {
        return Err(wrong("The registry sends uploads elsewhere, which is not taken."));
    }
    to.query_pairs_mut().append_pair("digest", &digest);
    let headers = [("content-type", "application/octet-stream")];
    let mut answer = client.signed_in("PUT", to, &headers, Bytes::from(bytes), "pull,push", ANSWER).await?;
    if answer.status() != 201 {
        let status = answer.status();
        return Err(client.refused(status, &mut answer).await);
    }
    Ok(descriptor)
}
