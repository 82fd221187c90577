//! What a server asks in the middle of a call: a form for a person, an address to open, or an answer of the model. Pure.
//!
//! Everything in it is a stranger's text; what is not understood is refused with a reason that the server is told.

use serde_json::{Map, Number, Value};

/// Bounds of a question: fields of a form, choices of a field, and bytes of all of it.
const FIELDS: usize = 32;
const CHOICES: usize = 200;
const BYTES: usize = 64 << 10;
/// Messages of a request for the model.
const MESSAGES: usize = 64;
/// Longest answer to a field without a bound of its own, characters.
const LONGEST: u64 = 10_000;
/// Tokens that the model may answer with, where a server asks for more or says nothing.
const TOKENS: u64 = 4_096;

/// A question of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Form {
        message: String,
        fields: Vec<Field>,
    },
    /// An address that a person should open in their browser.
    Url {
        message: String,
        url: String,
    },
    Sample(Sample),
}

/// A request for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub system: String,
    /// Whether the assistant said it, and what.
    pub messages: Vec<(bool, String)>,
    pub max_tokens: u64,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The server's own key.
    pub key: String,
    /// What a person reads; the key where there is none.
    pub title: String,
    pub description: String,
    pub required: bool,
    pub kind: FieldKind,
    /// What it holds at first: one text, or those that are chosen.
    pub default: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// With its shortest and longest, characters, and its format: `email`, `uri`, `date`, `date-time` or none.
    Text {
        shortest: u64,
        longest: u64,
        format: String,
    },
    /// With its least and most; whole numbers only where `whole`.
    Number {
        least: Option<f64>,
        most: Option<f64>,
        whole: bool,
    },
    Flag,
    /// Values with what is shown for them; several may be chosen where `most` is more than one.
    Choice {
        choices: Vec<(String, String)>,
        several: bool,
        least: u64,
        most: u64,
    },
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Asked {
    /// Read the `params` of a server's request; nothing for a method that is no question.
    ///
    /// # Errors
    /// What is wrong with it, for the server.
    pub fn read(method: &str, params: &Value) -> Option<Result<Self, String>> {
        let read = match method {
            "elicitation/create" => Self::elicitation,
            "sampling/createMessage" => Self::sampling,
            _ => return None,
        };
        if params.to_string().len() > BYTES {
            return Some(Err(format!("a question has {} KiB at most", BYTES >> 10)));
        }
        Some(read(params))
    }

    fn elicitation(params: &Value) -> Result<Self, String> {
        let message = text(params, "message");
        match params.get("mode").and_then(Value::as_str).unwrap_or("form") {
            "form" => {}
            "url" => {
                let url = text(params, "url");
                let parsed = url::Url::parse(&url).map_err(|_| "the address cannot be read")?;
                if !matches!(parsed.scheme(), "https" | "http") || parsed.host_str().is_none() {
                    return Err("an address to open begins with https:// or http://".into());
                }
                return Ok(Self::Url { message, url: parsed.into() });
            }
            other => return Err(format!("there is no mode {}", crate::error::bounded(other))),
        }
        let schema = params.get("requestedSchema").ok_or("requestedSchema is missing")?;
        let properties = schema.get("properties").and_then(Value::as_object).ok_or("the schema has no properties")?;
        if properties.len() > FIELDS {
            return Err(format!("a form has {FIELDS} fields at most"));
        }
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let field = |(key, schema): (&String, &Value)| Field::read(key, schema, required.contains(&key.as_str()));
        Ok(Self::Form { message, fields: properties.iter().map(field).collect::<Result<_, _>>()? })
    }

    fn sampling(params: &Value) -> Result<Self, String> {
        if params.get("tools").is_some_and(|tools| !tools.as_array().is_some_and(Vec::is_empty)) {
            return Err("tools are not offered in a request for the model".into());
        }
        let messages = params.get("messages").and_then(Value::as_array).ok_or("messages is missing")?;
        if messages.is_empty() || messages.len() > MESSAGES {
            return Err(format!("there have to be 1 to {MESSAGES} messages"));
        }
        let read = |message: &Value| {
            let assistant = match message.get("role").and_then(Value::as_str) {
                Some("user") => false,
                Some("assistant") => true,
                _ => return Err("a message is of the user or of the assistant"),
            };
            let parts = match message.get("content") {
                Some(Value::Array(parts)) => parts.iter().collect(),
                Some(part) => vec![part],
                None => Vec::new(),
            };
            let texts: Option<Vec<&str>> = parts
                .into_iter()
                .map(|part| part.get("text").filter(|_| text(part, "type") == "text").and_then(Value::as_str))
                .collect();
            Ok((assistant, texts.filter(|texts| !texts.is_empty()).ok_or("only text can be asked")?.join("\n")))
        };
        let tokens = params.get("maxTokens").and_then(Value::as_u64).unwrap_or(TOKENS);
        Ok(Self::Sample(Sample {
            system: text(params, "systemPrompt"),
            messages: messages.iter().map(read).collect::<Result<_, _>>()?,
            max_tokens: tokens.clamp(1, TOKENS),
        }))
    }

    /// Its kind in a word: `form`, `url` or `sample`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Form { .. } => "form",
            Self::Url { .. } => "url",
            Self::Sample(_) => "sample",
        }
    }
}

/// A value as a form shows it.
fn shown(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(_) | Value::Bool(_) => vec![value.to_string()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

impl Field {
    fn read(key: &str, schema: &Value, required: bool) -> Result<Self, String> {
        let number = |key: &str| schema.get(key).and_then(Value::as_u64);
        let several = schema.get("type").and_then(Value::as_str) == Some("array");
        let choices = choices(if several { schema.get("items").unwrap_or(&Value::Null) } else { schema })?;
        let kind = match (choices, text(schema, "type").as_str()) {
            (Some(choices), "array") => {
                let most = number("maxItems").unwrap_or(choices.len() as u64);
                FieldKind::Choice { choices, several, least: number("minItems").unwrap_or(0), most }
            }
            (Some(choices), "string" | "") => FieldKind::Choice { choices, several, least: 0, most: 1 },
            (None, "string") => FieldKind::Text {
                shortest: number("minLength").unwrap_or(0),
                longest: number("maxLength").unwrap_or(LONGEST).min(LONGEST),
                format: text(schema, "format"),
            },
            (None, "boolean") => FieldKind::Flag,
            (None, kind @ ("number" | "integer")) => FieldKind::Number {
                least: schema.get("minimum").and_then(Value::as_f64),
                most: schema.get("maximum").and_then(Value::as_f64),
                whole: kind == "integer",
            },
            _ => return Err(format!("a form has no field such as {}", crate::error::bounded(key))),
        };
        let title = Some(text(schema, "title")).filter(|title| !title.is_empty()).unwrap_or_else(|| key.to_owned());
        Ok(Self {
            key: key.to_owned(),
            title,
            description: text(schema, "description"),
            required,
            kind,
            default: schema.get("default").map(shown).unwrap_or_default(),
        })
    }

    /// The value that was typed or chosen; nothing where a field that may be empty is.
    ///
    /// # Errors
    /// What is wrong with it, for the person.
    pub fn answer(&self, given: &[String]) -> Result<Option<Value>, String> {
        let typed = given.first().map(|text| text.trim()).unwrap_or_default();
        match &self.kind {
            FieldKind::Flag => Ok(Some(Value::Bool(given.iter().any(|text| matches!(text.as_str(), "true" | "on"))))),
            FieldKind::Choice { choices, several, least, most } => {
                let mut chosen: Vec<Value> = Vec::new();
                for text in given.iter().filter(|text| !text.is_empty()) {
                    let known = choices.iter().find(|(value, _)| value == text);
                    let (value, _) = known.ok_or("Choose one of those that are offered.")?;
                    if !chosen.iter().any(|one| one == value) {
                        chosen.push(value.clone().into());
                    }
                }
                let count = chosen.len() as u64;
                match (*several, self.required) {
                    (true, required) => {
                        let least = (*least).max(u64::from(required));
                        if count == 0 && !required && least == 0 {
                            return Ok(None);
                        }
                        if count < least || count > *most {
                            return Err(match least == *most {
                                true => format!("Choose {least}."),
                                false => format!("Choose {least} to {most}."),
                            });
                        }
                        Ok(Some(Value::Array(chosen)))
                    }
                    (false, true) if count == 0 => Err("Choose one.".into()),
                    (false, _) if count > 1 => Err("Choose one only.".into()),
                    (false, _) => Ok(chosen.pop()),
                }
            }
            _ if typed.is_empty() => match self.required {
                true => Err("This is needed.".into()),
                false => Ok(None),
            },
            FieldKind::Number { least, most, whole } => {
                let wrong = || match whole {
                    true => "Give a whole number.".to_owned(),
                    false => "Give a number.".to_owned(),
                };
                let number = match whole {
                    true => Number::from(typed.parse::<i64>().map_err(|_| wrong())?),
                    false => typed.parse().ok().and_then(Number::from_f64).ok_or_else(wrong)?,
                };
                let value = number.as_f64().unwrap_or_default();
                if let Some(least) = least.filter(|least| value < *least) {
                    return Err(format!("Give {least} or more."));
                }
                if let Some(most) = most.filter(|most| value > *most) {
                    return Err(format!("Give {most} or less."));
                }
                Ok(Some(Value::Number(number)))
            }
            FieldKind::Text { shortest, longest, format } => {
                let length = typed.chars().count() as u64;
                if length < *shortest || length > *longest {
                    return Err(format!("Give {shortest} to {longest} characters."));
                }
                fits(format, typed)?;
                Ok(Some(typed.into()))
            }
        }
    }
}

/// What can be chosen, where a schema says so.
fn choices(schema: &Value) -> Result<Option<Vec<(String, String)>>, String> {
    let titled = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    let plain = schema.get("enum").and_then(Value::as_array);
    let mut choices = Vec::new();
    if let Some(titled) = titled {
        for one in titled {
            let value = one.get("const").and_then(Value::as_str).ok_or("a choice has no `const`")?;
            let title = Some(text(one, "title")).filter(|title| !title.is_empty());
            choices.push((value.to_owned(), title.unwrap_or_else(|| value.to_owned())));
        }
    } else if let Some(plain) = plain {
        let names = schema.get("enumNames").and_then(Value::as_array);
        for (at, one) in plain.iter().enumerate() {
            let value = one.as_str().ok_or("a choice is a text")?;
            let name = names.and_then(|names| names.get(at)).and_then(Value::as_str).unwrap_or(value);
            choices.push((value.to_owned(), name.to_owned()));
        }
    } else {
        return Ok(None);
    }
    match choices.len() {
        1..=CHOICES => Ok(Some(choices)),
        _ => Err(format!("a field has 1 to {CHOICES} choices")),
    }
}

/// Whether a text is of a format that the protocol names.
fn fits(format: &str, text: &str) -> Result<(), String> {
    let (fits, what) = match format {
        "email" => {
            let fits = text.split_once('@').is_some_and(|(name, host)| {
                !name.is_empty() && host.contains('.') && !text.contains(char::is_whitespace) && !host.contains('@')
            });
            (fits, "an e-mail address")
        }
        "uri" => (url::Url::parse(text).is_ok(), "a whole address, such as https://example.com"),
        "date" => (is_date(text), "a date, such as 2026-07-28"),
        "date-time" => {
            let time = text.get(10..).unwrap_or_default();
            let zoned = time.ends_with('Z') || time.rfind(['+', '-']).is_some_and(|at| time.len() - at == 6);
            let date = text.get(..10).is_some_and(is_date);
            (
                date && time.starts_with(['T', 't', ' ']) && time.len() >= 9 && zoned,
                "a time, such as 2026-07-28T12:00:00Z",
            )
        }
        _ => (true, ""),
    };
    if fits { Ok(()) } else { Err(format!("Give {what}.")) }
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
            .flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// The answer to a form or an address: `accept` with what was typed, `decline` or `cancel`.
pub fn elicited(action: &str, content: Option<Map<String, Value>>) -> Value {
    let mut answer = Map::from_iter([("action".to_owned(), Value::from(action))]);
    if let Some(content) = content {
        answer.insert("content".to_owned(), Value::Object(content));
    }
    Value::Object(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn form(properties: Value, required: &[&str]) -> Vec<Field> {
        let params = json!({"message": "m", "requestedSchema": {"type": "object", "properties": properties, "required": required}});
        match Asked::read("elicitation/create", &params).unwrap().unwrap() {
            Asked::Form { fields, .. } => fields,
            other => panic!("{other:?}"),
        }
    }

    fn given(field: &Field, text: &str) -> Result<Option<Value>, String> {
        field.answer(&[text.to_owned()])
    }

    #[test]
    fn every_kind_of_field_is_read_and_answered() {
        let fields = form(
            json!({
                "name": {"type": "string", "title": "Name", "minLength": 2, "maxLength": 4},
                "mail": {"type": "string", "format": "email"},
                "day": {"type": "string", "format": "date"},
                "at": {"type": "string", "format": "date-time"},
                "age": {"type": "integer", "minimum": 0, "maximum": 150, "default": 30},
                "share": {"type": "number"},
                "sure": {"type": "boolean", "default": true},
                "one": {"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"], "default": "b"},
                "titled": {"type": "string", "oneOf": [{"const": "x", "title": "X"}]},
                "many": {"type": "array", "items": {"type": "string", "enum": ["p", "q", "r"]}, "minItems": 1, "maxItems": 2},
                "more": {"type": "array", "items": {"anyOf": [{"const": "s", "title": "S"}]}, "default": ["s"]},
            }),
            &["name", "one"],
        );
        let field = |key: &str| fields.iter().find(|field| field.key == key).unwrap();
        assert_eq!(given(field("name"), " abc "), Ok(Some(json!("abc"))));
        assert_eq!(given(field("name"), "a"), Err("Give 2 to 4 characters.".into()));
        assert_eq!(given(field("name"), ""), Err("This is needed.".into()));
        assert_eq!(given(field("mail"), ""), Ok(None));
        assert!(given(field("mail"), "a@b").is_err() && given(field("mail"), "a@b.example").is_ok());
        for (text, fits) in [("2024-02-29", true), ("2023-02-29", false), ("2023-13-01", false), ("tomorrow", false)] {
            assert_eq!(given(field("day"), text).is_ok(), fits, "{text}");
        }
        for (text, fits) in
            [("2024-02-29T10:00:00Z", true), ("2024-02-29T10:00:00+01:00", true), ("2024-02-29T10:00:00", false)]
        {
            assert_eq!(given(field("at"), text).is_ok(), fits, "{text}");
        }
        assert_eq!(field("age").default, ["30"]);
        assert_eq!(given(field("age"), "7"), Ok(Some(json!(7))));
        assert!(given(field("age"), "7.5").is_err() && given(field("age"), "-1").is_err());
        assert_eq!(given(field("share"), "7.5"), Ok(Some(json!(7.5))));
        assert_eq!(
            (field("sure").answer(&[]), given(field("sure"), "on")),
            (Ok(Some(json!(false))), Ok(Some(json!(true))))
        );
        assert_eq!(given(field("one"), "a"), Ok(Some(json!("a"))));
        assert!(given(field("one"), "c").is_err() && given(field("one"), "").is_err());
        assert_eq!(given(field("titled"), "x"), Ok(Some(json!("x"))));
        let many =
            |texts: &[&str]| field("many").answer(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(many(&["p", "q", "p"]), Ok(Some(json!(["p", "q"]))));
        assert_eq!(many(&["p", "q", "r"]), Err("Choose 1 to 2.".into()));
        assert_eq!(field("more").default, ["s"]);
        assert_eq!(field("more").answer(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_question_of_the_protocol_is_refused() {
        let read = |params: Value| Asked::read("elicitation/create", &params).unwrap();
        assert!(read(json!({"message": "m"})).is_err());
        assert!(read(json!({"requestedSchema": {"properties": {"a": {"type": "object"}}}})).is_err());
        assert!(read(json!({"requestedSchema": {"properties": {"a": {"type": "string", "enum": []}}}})).is_err());
        assert!(read(json!({"mode": "url", "url": "javascript:alert(1)"})).is_err());
        assert!(read(json!({"mode": "url", "url": "https://a.example/x"})).is_ok());
        assert!(read(json!({"mode": "dream"})).is_err());
        let many: Map<String, Value> = (0..33).map(|at| (format!("f{at}"), json!({"type": "string"}))).collect();
        assert!(read(json!({"requestedSchema": {"properties": many}})).is_err());
        assert!(Asked::read("roots/list", &json!({})).is_none());
    }

    #[test]
    fn a_request_for_the_model_is_text_and_nothing_else() {
        let read = |params: Value| Asked::read("sampling/createMessage", &params).unwrap();
        let part = |text: &str| json!({"type": "text", "text": text});
        let asked = read(
            json!({"messages": [{"role": "user", "content": part("a")}, {"role": "assistant", "content": [part("b"), part("c")]}],
            "systemPrompt": "s", "maxTokens": 1_000_000}),
        );
        let wanted = Sample {
            system: "s".into(),
            messages: vec![(false, "a".into()), (true, "b\nc".into())],
            max_tokens: TOKENS,
        };
        assert_eq!(asked, Ok(Asked::Sample(wanted)));
        for wrong in [
            json!({"messages": []}),
            json!({"messages": [{"role": "system", "content": part("a")}]}),
            json!({"messages": [{"role": "user", "content": {"type": "image", "data": "AA"}}]}),
            json!({"messages": [{"role": "user", "content": part("a")}], "tools": [{"name": "x"}]}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_for_a_field_is_taken_or_refused(kind in "string|integer|number|boolean", format in "email|uri|date|date-time|", typed in "\\PC{0,40}") {
            let fields = form(json!({"a": {"type": kind.clone(), "format": format}}), &[]);
            if let Ok(Some(value)) = given(&fields[0], &typed) {
                let fits = match kind.as_str() {
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64(),
                    _ => value.is_number(),
                };
                prop_assert!(fits);
            }
        }
    }
}
