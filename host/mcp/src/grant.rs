//! Whether a process may start, by the grant as it stands at that moment.

use fumehood_egress::{Pinned, ProcessSpec};
use fumehood_policy::{Denial, Digest, PluginGrant, decide_process};

/// Why a process may not start.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not granted; with the digest of what lies there, where that was asked for.
    Denied(Box<Denial>, Digest),
    /// The program cannot be looked at.
    Unreadable(String),
}

/// A program that may start.
#[derive(Debug)]
pub(crate) struct Allowed {
    /// The rule, in words.
    pub rule: String,
    /// The very file that was looked at, where what it holds is pinned.
    pub program: Option<Pinned>,
}

/// Ask the grant. The program is read only where the grant pins what it holds and it was not read before: some have 100 MB
/// and more. What was read is what has to run: see [`Pinned`].
///
/// # Errors
/// The denial, or why the program cannot be looked at.
pub(crate) async fn process(grant: &PluginGrant, spec: &ProcessSpec) -> Result<Allowed, Refused> {
    let Some(path) = spec.command.to_str() else {
        return Err(Refused::Unreadable("the path of the command is not UTF-8".into()));
    };
    let pinned = grant.processes.iter().any(|rule| rule.path == path && rule.digest.is_some());
    let program = match &spec.pinned {
        Some(read) => Some(read.clone()),
        None if pinned => {
            let command = spec.command.clone();
            let read = tokio::task::spawn_blocking(move || Pinned::open(&command)).await;
            let read = read.map_err(|error| Refused::Unreadable(error.to_string()))?;
            Some(read.map_err(|error| Refused::Unreadable(format!("the command `{path}` cannot be read: {error}")))?)
        }
        None => None,
    };
    let digest = Digest::new(program.as_ref().map(Pinned::sha256).unwrap_or_default());
    match decide_process(grant, path, digest, &spec.arguments) {
        Ok(rule) => {
            let held = rule.digest.is_some() || spec.pinned.is_some();
            Ok(Allowed { rule: rule.to_string(), program: program.filter(|_| held) })
        }
        Err(denial) if pinned => Err(Refused::Denied(Box::new(denial), digest)),
        // Looked at now, so that the refusal names the grant that would fit.
        Err(denial) => {
            let command = spec.command.clone();
            let read = tokio::task::spawn_blocking(move || Pinned::open(&command)).await;
            let Ok(Ok(is)) = read else { return Err(Refused::Denied(Box::new(denial), digest)) };
            let is = Digest::new(is.sha256());
            let denial = decide_process(grant, path, is, &spec.arguments).err().unwrap_or(denial);
            Err(Refused::Denied(Box::new(denial), is))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use fumehood_policy::{ProcessArguments, ProcessRule};

    fn spec(command: &Path, argument: &str) -> ProcessSpec {
        ProcessSpec {
            command: command.to_owned(),
            arguments: vec![argument.to_owned()],
            environment: Vec::new(),
            folder: "/".into(),
            pinned: None,
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
        assert!(matches!(refused, Refused::Denied(denial, _) if denial.to_string().contains("transport-stdio")));
        grant.processes = vec![rule(Some(Digest::new(Pinned::open(&program).unwrap().sha256())))];
        assert!(process(&grant, &spec(&program, "a")).await.is_ok());
        std::fs::write(&program, "two").unwrap();
        assert!(process(&grant, &spec(&program, "a")).await.is_err(), "another program");
    }
}
