//! What a responder can do about a turn that failed.

use crate::TriageError;

/// `retry`, `fix-key`, `shorten`, `raise-budget` or `give-up`.
pub(super) fn about(error: &TriageError) -> &'static str {
    match error {
        TriageError::OverBudget(_) => "raise-budget",
        TriageError::TooLarge(_) => "shorten",
        TriageError::Plugin(failure) => match failure.code() {
            "auth" | "forbidden" | "quota" => "fix-key",
            "too-large" => "shorten",
            "internal" | "protocol" | "rate-limited" | "timeout" | "unavailable" => "retry",
            _ => "give-up",
        },
        TriageError::NotSetUp { .. } | TriageError::Forbidden(_) => "give-up",
        _ => "retry",
    }
}

/// Whether another model may have an answer where one failed so: its server, its key or its size were in the way, and not
/// what was asked.
pub(super) fn may_be_others(error: &TriageError) -> bool {
    const OF_THE_MODEL: [&str; 11] = [
        "auth",
        "denied",
        "forbidden",
        "internal",
        "not-found",
        "protocol",
        "quota",
        "rate-limited",
        "timeout",
        "too-large",
        "unavailable",
    ];
    match error {
        TriageError::Plugin(failure) => OF_THE_MODEL.contains(&failure.code()),
        TriageError::TooLarge(_) => true,
        _ => false,
    }
}
