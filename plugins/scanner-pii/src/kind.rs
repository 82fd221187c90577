//! What the scanner can report.
//!
//! Invariant: names match `[A-Z0-9_]{1,32}` and never change once released: policies and pseudonyms are keyed by them.

/// Which kind of rule found a value, as the contract and the score count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Shape and checksum decide: addresses, numbers.
    Structured,
    /// Whoever holds it can act with it.
    Secret,
    /// Only the words around it make it personal.
    Contextual,
}

impl Group {
    /// The contract's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Structured => "structured",
            Self::Secret => "secret",
            Self::Contextual => "contextual",
        }
    }
}

/// A type of value, with its name, group and a line for the review page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// `[A-Z0-9_]{1,32}`.
    pub name: &'static str,
    /// How it is counted.
    pub group: Group,
    /// One line for a person.
    pub description: &'static str,
}

macro_rules! kinds {
    ($($variant:ident $name:literal $group:ident $description:literal;)*) => {
        /// The type of a finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $description] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Name, group and description.
            #[must_use]
            pub const fn info(self) -> KindInfo {
                match self {
                    $(Self::$variant => KindInfo {
                        name: $name,
                        group: Group::$group,
                        description: $description,
                    },)*
                }
            }
        }
    };
}

kinds! {
    Email "EMAIL" Structured "An e-mail address";
    Phone "PHONE" Structured "A telephone number";
    Ipv4 "IPV4" Structured "An IPv4 address other than loopback";
    Ipv6 "IPV6" Structured "An IPv6 address other than loopback";
    Mac "MAC" Structured "A network card's hardware address";
    CreditCard "CREDIT_CARD" Structured "A payment card number (issuer range and Luhn digit)";
    Iban "IBAN" Structured "A bank account number (length by country, mod 97)";
    UsSsn "US_SSN" Structured "A United States social security number";
    UkNino "UK_NINO" Structured "A United Kingdom national insurance number";
    UkNhs "UK_NHS" Structured "A United Kingdom NHS number (mod 11)";
    Person "PERSON" Contextual "The name of a person";
    Address "ADDRESS" Contextual "A postal address";
    Dob "DOB" Contextual "A date of birth";
    Hostname "HOSTNAME" Contextual "The name of an internal host";
    Username "USERNAME" Contextual "The name of an account";
    Passport "PASSPORT" Contextual "A passport number";
    AwsAccessKey "AWS_ACCESS_KEY" Secret "An AWS access key id";
    AwsSecretKey "AWS_SECRET_KEY" Secret "An AWS secret access key";
    AzureKey "AZURE_KEY" Secret "An Azure account key or client secret";
    GcpApiKey "GCP_API_KEY" Secret "A Google API key or OAuth secret";
    GithubToken "GITHUB_TOKEN" Secret "A GitHub token";
    GitlabToken "GITLAB_TOKEN" Secret "A GitLab token";
    SlackToken "SLACK_TOKEN" Secret "A Slack token or webhook address";
    StripeKey "STRIPE_KEY" Secret "A Stripe key";
    OpenaiKey "OPENAI_KEY" Secret "An OpenAI key";
    AnthropicKey "ANTHROPIC_KEY" Secret "An Anthropic key";
    OtherApiKey "OTHER_API_KEY" Secret "A key whose prefix names its service";
    Jwt "JWT" Secret "A JSON web token";
    PrivateKey "PRIVATE_KEY" Secret "A private key in PEM";
    Password "PASSWORD" Secret "A password in an assignment";
    GenericSecret "GENERIC_SECRET" Secret "A key or token in an assignment";
    BearerToken "BEARER_TOKEN" Secret "The value of bearer authorisation";
    BasicAuth "BASIC_AUTH" Secret "The value of basic authorisation";
    SessionCookie "SESSION_COOKIE" Secret "The value of a session cookie";
    UrlCredentials "URL_CREDENTIALS" Secret "The password in a URL";
    ConnectionString "CONNECTION_STRING" Secret "The password in a connection string";
}

impl Kind {
    /// The contract's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// How it is counted.
    #[must_use]
    pub const fn group(self) -> Group {
        self.info().group
    }

    /// The kind of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_contract_and_are_unique() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        for name in &names {
            assert!((1..=32).contains(&name.len()));
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
            assert_eq!(Kind::by_name(name).map(Kind::name), Some(*name), "{name} is found by its name");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
