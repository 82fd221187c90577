//! `redact-core` on documents: {"id":…,"text":…} a line in, {"id":…,"spans":[…]} a line out.

use std::io::BufRead as _;

use redact_core::{AnalyzerEngine, EntityType};

/// What its types are called here; what nobody judges is left out.
fn name(kind: &EntityType) -> Option<&'static str> {
    use EntityType::*;
    Some(match kind {
        Person => "PERSON",
        EmailAddress => "EMAIL",
        PhoneNumber | UkPhoneNumber | UkMobileNumber => "PHONE",
        IpAddress => "IPV4",
        MacAddress => "MAC",
        CreditCard => "CREDIT_CARD",
        Iban | IbanCode => "IBAN",
        UsSsn => "US_SSN",
        UkNhs => "UK_NHS",
        UkNino => "UK_NINO",
        UsPassport | UkPassportNumber | PassportNumber => "PASSPORT",
        PrivateKey => "PRIVATE_KEY",
        JwtToken => "JWT",
        AwsAccessKey | GithubToken | GitlabToken | SlackToken | SlackWebhook | StripeApiKey | GoogleApiKey
        | OpenAiApiKey | AnthropicApiKey | NpmToken | PyPiToken | SendGridApiKey | TwilioApiKey | TelegramBotToken
        | HashicorpVaultToken | DatabaseConnectionString | HuggingFaceToken | DatabricksToken | DigitalOceanToken
        | NotionApiKey | PerplexityApiKey | HttpBasicAuth | GenericSecret => "GENERIC_SECRET",
        _ => return None,
    })
}

fn main() {
    let engine = AnalyzerEngine::new();
    for line in std::io::stdin().lock().lines() {
        let document: serde_json::Value = serde_json::from_str(&line.expect("text")).expect("a document");
        let found = engine.analyze(document["text"].as_str().expect("a text"), None).expect("an analysis");
        let spans: Vec<_> = found
            .detected_entities
            .iter()
            .filter_map(|one| Some(serde_json::json!({"type": name(&one.entity_type)?, "start": one.start, "end": one.end})))
            .collect();
        println!("{}", serde_json::json!({"id": document["id"], "spans": spans}));
    }
}
