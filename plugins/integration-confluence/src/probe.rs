//! Which API a server speaks.
//!
//! Invariant: a server is asked only where the settings do not say, once per base, and with requests that change
//! nothing. What is remembered can never lead away from the settings' base.

use serde_json::{Value, json};

use crate::client::Client;
use crate::service::Confluence;
use crate::settings::{Flavour, Settings};
use plugin_core::host::{Failure, Host, code};

/// Key under which the answer is remembered.
const FLAVOUR_KEY: &str = "flavour";

impl<'a> Confluence<'a> {
    /// Read the settings and find out which API the server speaks, where they do not say.
    ///
    /// # Errors
    /// `invalid` for a setting, or what the probes met.
    pub fn open(host: Host<'a>) -> Result<Self, Failure> {
        let settings = Settings::read(host.config)?;
        let client = |root: &str| Client { host, root: root.to_owned(), credential: settings.credential.clone() };
        if let Some(flavour) = settings.flavour {
            return Ok(Self { client: client(&settings.base), flavour, settings });
        }
        let known = host.kv.get(FLAVOUR_KEY).unwrap_or_default();
        let known = known.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if let Some(known) = known
            && known.get("base").and_then(Value::as_str) == Some(settings.base.as_str())
            && let Some(root) = known.get("root").and_then(Value::as_str)
            // What is stored is checked as well: the root never leaves the base.
            && [settings.base.clone(), format!("{}/wiki", settings.base)].iter().any(|ok| ok == root)
        {
            let cloud = known.get("flavour").and_then(Value::as_str) == Some("cloud");
            return Ok(Self {
                client: client(root),
                flavour: if cloud { Flavour::Cloud } else { Flavour::DataCenter },
                settings,
            });
        }
        let base = settings.base.as_str();
        let below = format!("{base}/wiki");
        let mut probes = vec![(Flavour::Cloud, base, "/api/v2/spaces?limit=1")];
        if !base.ends_with("/wiki") {
            probes.push((Flavour::Cloud, &below, "/api/v2/spaces?limit=1"));
        }
        probes.push((Flavour::DataCenter, base, "/rest/api/space?limit=1"));
        let mut refused = None;
        for (flavour, root, path) in probes {
            let client = client(root);
            match client.get(path) {
                Ok(answer) if answer.json.get("results").is_some_and(Value::is_array) => {
                    let word = if flavour == Flavour::Cloud { "cloud" } else { "datacenter" };
                    let note = json!({ "base": base, "root": root, "flavour": word });
                    if let Err(failure) = host.kv.set(FLAVOUR_KEY, note.to_string().as_bytes()) {
                        host.log.warn(&format!("the flavour is not remembered: {failure}"));
                    }
                    return Ok(Self { client, flavour, settings });
                }
                Ok(_) => {}
                Err(failure) => match failure.code.as_ref() {
                    code::NOT_FOUND | code::PROTOCOL | code::INVALID => {}
                    // The other API may well be open to the credential and the grant.
                    code::AUTH | code::FORBIDDEN | "denied" => {
                        refused.get_or_insert(failure);
                    }
                    _ => return Err(failure),
                },
            }
        }
        Err(refused.unwrap_or_else(|| {
            Failure::new(
                code::INVALID,
                "base-url answers neither as Confluence Cloud nor as Confluence Data Center. Check it, with its context path, or set flavour.",
            )
        }))
    }
}
