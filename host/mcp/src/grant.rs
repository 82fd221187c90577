//! Whether a process may start, by the grant as it stands at that moment.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use fumehood_egress::ProcessSpec;
use fumehood_policy::{Denial, Digest, PluginGrant, ProcessRule, decide_process};
use sha2::{Digest as _, Sha256};

/// Why a process may not start.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not granted.
    Denied(Box<Denial>),
    /// The program cannot be looked at.
    Unreadable(String),
}

/// Ask the grant. The program is read only where the grant pins what it holds: some have 100 MB and more.
///
/// # Errors
/// The denial, or why the program cannot be looked at.
pub(crate) async fn process<'a>(grant: &'a PluginGrant, spec: &ProcessSpec) -> Result<&'a ProcessRule, Refused> {
    let Some(path) = spec.command.to_str() else {
        return Err(Refused::Unreadable("the path of the command is not UTF-8".into()));
    };
    let pinned = grant.processes.iter().any(|rule| rule.path == path && rule.digest.is_some());
    let digest = if pinned {
        let command = spec.command.clone();
        let read = tokio::task::spawn_blocking(move || sha256(&command)).await;
        let read = read.map_err(|error| Refused::Unreadable(error.to_string()))?;
        read.map_err(|error| Refused::Unreadable(format!("the command `{path}` cannot be read: {error}")))?
    } else {
        [0; 32]
    };
    let decided = decide_process(grant, path, Digest::new(digest), &spec.arguments);
    decided.map_err(|denial| Refused::Denied(Box::new(denial)))
}

fn sha256(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        match buffer.get(..count) {
            Some(bytes) if count > 0 => hash.update(bytes),
            _ => return Ok(hash.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fumehood_policy::{ProcessArguments, ProcessRule};

    fn spec(command: &Path, argument: &str) -> ProcessSpec {
        ProcessSpec {
            command: command.to_owned(),
            arguments: vec![argument.to_owned()],
            environment: Vec::new(),
            folder: "/".into(),
        }
    }

    #[tokio::test]
    async fn a_pinned_program_that_was_exchanged_does_not_start() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("server");
        std::fs::write(&program, "one").unwrap();
        let mut grant = PluginGrant::nothing("transport-stdio", Digest::new([0; 32]), 1);
        assert!(process(&grant, &spec(&program, "a")).await.is_err(), "nothing is granted");
        let rule = |digest| ProcessRule {
            path: program.to_str().unwrap().into(),
            digest,
            arguments: ProcessArguments::Fixed(vec!["a".into()]),
        };
        grant.processes = vec![rule(None)];
        assert!(process(&grant, &spec(&program, "a")).await.is_ok());
        let refused = process(&grant, &spec(&program, "b")).await.unwrap_err();
        assert!(matches!(refused, Refused::Denied(denial) if denial.to_string().contains("transport-stdio")));
        grant.processes = vec![rule(Some(Digest::new(sha256(&program).unwrap())))];
        assert!(process(&grant, &spec(&program, "a")).await.is_ok());
        std::fs::write(&program, "two").unwrap();
        assert!(process(&grant, &spec(&program, "a")).await.is_err(), "another program");
    }
}
