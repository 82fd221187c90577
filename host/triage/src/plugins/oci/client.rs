//! One conversation with a registry: signing in, redirects, bounded bodies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use fumehood_egress::{Egress, HttpRequest, HttpResponse};
use fumehood_policy::{Request, vet};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Descriptor, OciError, Reference, SignIn, wrong};
use crate::settings::private_nets;

/// Redirects that are followed for one blob: registries keep them elsewhere.
const REDIRECTS: usize = 5;
/// To the head of an answer.
const FIRST_BYTE: Duration = Duration::from_secs(60);
/// Silence within a body.
const IDLE: Duration = Duration::from_secs(60);
/// Longest answer that is no artefact, bytes.
const SMALL: usize = 1 << 20;

pub(super) struct Client<'a> {
    egress: &'a Egress,
    reference: &'a Reference,
    sign_in: SignIn,
    /// What was got for signing in.
    token: Option<SecretString>,
}

/// Whether bytes are those of a digest.
pub(super) fn check_digest(bytes: &[u8], digest: &str, what: &str) -> Result<(), OciError> {
    let is = super::super::Digest::new(Sha256::digest(bytes).into());
    if format!("sha256:{is}") == digest {
        return Ok(());
    }
    Err(wrong(format!(
        "The registry gave other bytes for {what} than its digest says ({digest}); nothing was installed."
    )))
}

impl<'a> Client<'a> {
    pub(super) fn new(egress: &'a Egress, reference: &'a Reference, sign_in: SignIn) -> Result<Self, OciError> {
        Ok(Self { egress, reference, sign_in, token: None })
    }

    fn url(&self, path: &str) -> Result<Url, OciError> {
        let text = format!("v2/{}/{path}", self.reference.repository);
        self.reference
            .base
            .join(&text)
            .map_err(|error| wrong(format!("The registry's address cannot be used: {error}")))
    }

    /// The bytes of an artefact's manifest.
    pub(super) async fn manifest(&mut self, name: &str, media_type: &str, most: usize) -> Result<Vec<u8>, OciError> {
        let url = self.url(&format!("manifests/{name}"))?;
        let mut answer = self.signed_in("GET", url, &[("accept", media_type)], Bytes::new(), "pull", most).await?;
        match answer.status() {
            200 => read(&mut answer, most).await,
            404 => Err(wrong(format!("{} has no such artefact: {name}.", self.reference.name()))),
            status => Err(self.refused(status, &mut answer).await),
        }
    }

    /// The bytes of a layer, as its descriptor has them.
    pub(super) async fn blob(&mut self, layer: &Descriptor, most: usize) -> Result<Vec<u8>, OciError> {
        if layer.size > most as u64 {
            return Err(wrong(format!(
                "A layer of {} has {} bytes, more than the {most} that are taken.",
                self.reference.name(),
                layer.size
            )));
        }
        if !layer.digest.starts_with("sha256:") {
            return Err(wrong(format!(
                "A layer of {} is named by {}; only sha256 is taken.",
                self.reference.name(),
                layer.digest
            )));
        }
        let mut url = self.url(&format!("blobs/{}", layer.digest))?;
        let mut answer = self.signed_in("GET", url.clone(), &[], Bytes::new(), "pull", most).await?;
        let mut hops = 0;
        while matches!(answer.status(), 301 | 302 | 303 | 307 | 308) {
            hops += 1;
            let to = header(&answer, "location").and_then(|to| url.join(to).ok());
            let to = to.filter(|to| to.scheme() == "https" || to.origin() == self.reference.base.origin());
            let to = to.ok_or_else(|| wrong("The registry redirects to an address that is not taken.".to_owned()))?;
            if hops > REDIRECTS {
                return Err(wrong("The registry redirects without end.".to_owned()));
            }
            // Another origin gets no credential.
            let own = to.origin() == self.reference.base.origin();
            let headers = if own { self.authorization() } else { None };
            answer = self.send("GET", to.clone(), &[], headers, Bytes::new(), most).await?;
            url = to;
        }
        if answer.status() != 200 {
            let status = answer.status();
            return Err(self.refused(status, &mut answer).await);
        }
        let bytes = read(&mut answer, most).await?;
        check_digest(&bytes, &layer.digest, "a layer")?;
        Ok(bytes)
    }

    pub(super) async fn refused(&self, status: u16, answer: &mut HttpResponse) -> OciError {
        let said = read(answer, SMALL).await.unwrap_or_default();
        let said = serde_json::from_slice::<serde_json::Value>(&said).ok();
        let said = said.as_ref().and_then(|said| said.pointer("/errors/0/message")?.as_str()).unwrap_or_default();
        let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        let name = self.reference.name();
        match status {
            401 | 403 => wrong(format!("{name} wants somebody to sign in who may do this (HTTP {status}). {said}")),
            429 => wrong(format!("{name} was asked too often; try again later.")),
            _ => wrong(format!("{name} answered with HTTP {status}. {said}")),
        }
    }

    fn authorization(&self) -> Option<SecretString> {
        if let Some(token) = &self.token {
            return Some(SecretString::from(format!("Bearer {}", token.expose_secret())));
        }
        let password = self.sign_in.password.as_ref()?;
        let pair = format!("{}:{}", self.sign_in.username, password.expose_secret());
        Some(SecretString::from(format!("Basic {}", BASE64.encode(pair.as_bytes()))))
    }

    /// Send a request; where the registry asks for it, get a token first, as its challenge says.
    pub(super) async fn signed_in(
        &mut self,
        method: &str,
        url: Url,
        headers: &[(&str, &str)],
        body: Bytes,
        action: &str,
        most: usize,
    ) -> Result<HttpResponse, OciError> {
        let answer = self.send(method, url.clone(), headers, self.authorization(), body.clone(), most).await?;
        if answer.status() != 401 || self.token.is_some() {
            return Ok(answer);
        }
        let challenge = header(&answer, "www-authenticate").unwrap_or_default().to_owned();
        let Some(challenge) = challenge.strip_prefix("Bearer ") else { return Ok(answer) };
        drop(answer);
        self.get_token(challenge, action).await?;
        self.send(method, url, headers, self.authorization(), body, most).await
    }

    async fn get_token(&mut self, challenge: &str, action: &str) -> Result<(), OciError> {
        let unusable = || wrong("The registry asks to sign in in a way that is not understood.".to_owned());
        let parts = parameters(challenge);
        let part = |name: &str| parts.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let mut url = Url::parse(part("realm").ok_or_else(unusable)?).map_err(|_| unusable())?;
        if url.scheme() != "https" && url.origin() != self.reference.base.origin() {
            return Err(unusable());
        }
        let scope =
            part("scope").map_or_else(|| format!("repository:{}:{action}", self.reference.repository), str::to_owned);
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = part("service") {
            url.query_pairs_mut().append_pair("service", service);
        }
        let mut answer = self.send("GET", url, &[], self.authorization(), Bytes::new(), SMALL).await?;
        if answer.status() != 200 {
            let status = answer.status();
            return Err(self.refused(status, &mut answer).await);
        }
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let token: Token = serde_json::from_slice(&read(&mut answer, SMALL).await?).map_err(|_| unusable())?;
        let token = token.token.or(token.access_token).ok_or_else(unusable)?;
        self.token = Some(SecretString::from(token));
        Ok(())
    }

    pub(super) async fn send(
        &self,
        method: &str,
        url: Url,
        headers: &[(&str, &str)],
        authorization: Option<SecretString>,
        body: Bytes,
        most: usize,
    ) -> Result<HttpResponse, OciError> {
        let asked = Request::parse(method, url.as_str(), body.len() as u64)
            .map_err(|error| wrong(format!("The registry's address cannot be used: {error}")))?;
        // Of addresses that are not public those of the registry that the operator named, and none that it leads to.
        let nets = if url.origin() == self.reference.base.origin() { private_nets(&url).await } else { Vec::new() };
        let mut rule = fumehood_policy::HttpRule::for_request(&asked)
            .ok_or_else(|| wrong("The registry's address cannot be used.".to_owned()))?;
        rule.allow_private = nets.iter().filter_map(|net| net.parse().ok()).collect();
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(error.to_string()))?;
            map.append(name, http::HeaderValue::from_str(value).map_err(|error| wrong(error.to_string()))?);
        }
        if let Some(secret) = authorization {
            let value = http::HeaderValue::from_str(secret.expose_secret());
            let mut value = value.map_err(|_| wrong("The password or token cannot be sent.".to_owned()))?;
            value.set_sensitive(true);
            map.insert(http::header::AUTHORIZATION, value);
        }
        let vetted = asked.clone();
        let request = HttpRequest {
            method: http::Method::from_bytes(method.as_bytes()).map_err(|error| wrong(error.to_string()))?,
            url: asked.url().clone(),
            headers: map,
            body,
            first_byte: FIRST_BYTE,
            idle: Some(IDLE),
            vet: Arc::new(move |addresses| {
                vet("registry", &vetted, &rule, addresses).map(drop).map_err(|denial| denial.to_string())
            }),
            max_response_bytes: most as u64 + 1,
        };
        let sent = self.egress.send(request, CancellationToken::new()).await;
        sent.map_err(|error| wrong(format!("{} cannot be reached: {error}", self.reference.name())))
    }
}

/// The first value of a header.
pub(super) fn header<'a>(answer: &'a HttpResponse, name: &str) -> Option<&'a str> {
    answer.headers().iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A body of at most so many bytes.
pub(super) async fn read(answer: &mut HttpResponse, most: usize) -> Result<Vec<u8>, OciError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.next_chunk().await.map_err(|error| wrong(format!("The registry: {error}")))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            return Err(wrong(format!("The registry sends more than the {most} bytes that are taken.")));
        }
    }
    Ok(bytes)
}

/// `name="value",name=value` of a challenge.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        all.push((name, value.trim().to_owned()));
        rest = after;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_taken_apart() {
        let parts = parameters(
            r#"realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#,
        );
        assert_eq!(parts[0], ("realm".into(), "https://auth.example/token".into()));
        assert_eq!(parts[2], ("scope".into(), "repository:a/b:pull,push".into()));
        assert_eq!(parameters("realm=x, error=y"), [("realm".into(), "x".into()), ("error".into(), "y".into())]);
        for odd in ["", "=", "realm", "a=\"", "====\"\"\"", ",,,="] {
            let _ = parameters(odd);
        }
    }
}
