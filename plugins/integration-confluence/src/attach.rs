//! Attaching a file to a page, exactly once per name and content.
//!
//! Invariant: the comment of what we upload carries the content's digest; the same file again is found by it and not
//! uploaded, and another content under the same name becomes a new version of it.

use crate::client::WriteError;
use crate::model::Attachment;
use crate::service::{Attached, Confluence};
use crate::text::{is_printable, sha256_hex};
use plugin_core::host::{Failure, code};

/// Most bytes of a file, as the contract says.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of a name, which Data Center keeps in 255.
const MAX_NAME_BYTES: usize = 200;

/// Attach a file; gives the attachment's id.
///
/// # Errors
/// `too-large`, `invalid` for a name that is none, or those of the contract.
pub fn attach(confluence: &Confluence<'_>, id: &str, attachment: &Attachment) -> Result<String, Failure> {
    if attachment.body.len() > MAX_FILE_BYTES {
        return Err(Failure::new(
            code::TOO_LARGE,
            format!("The file has {} bytes; at most {MAX_FILE_BYTES} can be attached.", attachment.body.len()),
        ));
    }
    let name = file_name(&attachment.name);
    if name.is_empty() {
        return Err(Failure::new(code::INVALID, "The file has no name."));
    }
    let comment = format!("Fumehood sha256:{}", sha256_hex(&[&attachment.body]));
    let same = |found: &Attached| found.comment.contains(&comment);
    let known = confluence.attached(id, &name)?;
    if let Some(known) = &known
        && same(known)
    {
        return Ok(known.id.clone());
    }
    let (media_type, body) = multipart(&name, &attachment.media_type, &comment, &attachment.body);
    match confluence.upload(id, known.as_ref(), media_type, body) {
        Ok(attached) => Ok(attached.id),
        Err(WriteError::Unknown(failure)) => match confluence.attached(id, &name) {
            Ok(Some(found)) if same(&found) => Ok(found.id),
            _ => Err(Failure { code: code::OUTCOME_UNKNOWN.into(), ..failure }),
        },
        Err(error) => Err(error.into_failure()),
    }
}

/// The last part of a path, without what a file system or a header would choke on.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = last
        .chars()
        .filter(|c| is_printable(*c) && !matches!(c, '\n' | '\t' | '"' | '<' | '>' | '|' | '*' | '?' | ':'))
        .collect();
    clean.truncate(clean.floor_char_boundary(MAX_NAME_BYTES));
    let clean = clean.trim();
    if clean.trim_matches('.').is_empty() { String::new() } else { clean.to_owned() }
}

/// RFC 7578. The boundary is a digest of the content, lengthened until the content does not hold it.
fn multipart(name: &str, media_type: &str, comment: &str, file: &[u8]) -> (String, Vec<u8>) {
    let mut boundary = format!("fumehood-{}", sha256_hex(&[name.as_bytes(), file]));
    boundary.truncate(60);
    while file.windows(boundary.len()).any(|window| window == boundary.as_bytes()) && boundary.len() < 70 {
        boundary.push('x');
    }
    let plausible = media_type.split_once('/').is_some_and(|(kind, rest)| {
        let token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        token(kind) && token(rest)
    });
    let media_type = if plausible { media_type } else { "application/octet-stream" };
    let mut body = Vec::with_capacity(file.len() + 1024);
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {media_type}\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    for (field, value) in [("comment", comment), ("minorEdit", "true")] {
        let part = format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (name, want) in [
            ("shot.png", "shot.png"),
            ("/etc/passwd", "passwd"),
            ("C:\\x\\a b.log", "a b.log"),
            ("a\"\r\nX: y", "aX y"),
            ("..", ""),
            (" ", ""),
            ("ünï.txt", "ünï.txt"),
        ] {
            assert_eq!(file_name(name), want, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_part_never_ends_early(name in any::<String>(), media in any::<String>(), file in proptest::collection::vec(any::<u8>(), 0..500)) {
            let name = file_name(&name);
            prop_assert!(name.len() <= MAX_NAME_BYTES && !name.contains(['"', '\r', '\n']));
            let (header, body) = multipart(&name, &media, "c", &file);
            let boundary = header.split_once("boundary=").unwrap().1;
            let text = String::from_utf8_lossy(&body).into_owned();
            prop_assert_eq!(text.matches(&format!("--{boundary}")).count(), 4);
            prop_assert!(body.windows(file.len().max(1)).any(|window| file.is_empty() || window == file));
        }
    }
}
