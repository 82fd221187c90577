//! Putting tool calls together from their fragments.
//!
//! Invariant: pure; at most [`MAX_CALLS`] calls and [`MAX_ARGUMENT_BYTES`] of arguments are held. The documented form is
//! a fragment with `index`, with `id` and `name` in the first one. Servers also leave out the index or the id, send
//! every call whole, repeat the name, give each call of a turn the index 0, invent a new id for every fragment, or send
//! the arguments as an object; the rules of [`Calls::place`] keep these apart.

use std::collections::HashSet;

use serde_json::Value;

use provider_core::host::Failure;
use provider_core::model::ToolCall;
use provider_core::tools::{MAX_ARGUMENT_BYTES, MAX_CALLS, invented, too_much};

#[derive(Debug, Default)]
struct Partial {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Partial {
    /// Whether the arguments are a complete object, after which a fragment without index and id begins a new call.
    fn is_whole(&self) -> bool {
        is_object(&self.arguments)
    }
}

/// The calls of one answer.
#[derive(Debug, Default)]
pub struct Calls {
    partial: Vec<Partial>,
    bytes: usize,
}

impl Calls {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// Take `tool_calls` of a delta or of a whole message; anything but a list is ignored.
    ///
    /// # Errors
    /// `protocol` over the limits.
    pub fn take(&mut self, tool_calls: &Value) -> Result<(), Failure> {
        for fragment in tool_calls.as_array().into_iter().flatten() {
            self.fragment(fragment)?;
        }
        Ok(())
    }

    fn fragment(&mut self, fragment: &Value) -> Result<(), Failure> {
        let function = fragment.get("function").unwrap_or(fragment);
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let index = fragment.get("index").and_then(Value::as_u64);
        let (id, name) = (text(fragment, "id"), text(function, "name"));
        let (arguments, as_value) = match function.get("arguments") {
            None | Some(Value::Null) => (String::new(), false),
            Some(Value::String(text)) => (text.clone(), false),
            Some(value) => (value.to_string(), true),
        };
        self.bytes += id.len() + name.len() + arguments.len();
        if self.bytes > MAX_ARGUMENT_BYTES {
            return Err(too_much(MAX_CALLS, MAX_ARGUMENT_BYTES));
        }
        let at = self.place(index, &id, &name, as_value);
        if at.is_none() && self.partial.len() >= MAX_CALLS {
            return Err(too_much(MAX_CALLS, MAX_ARGUMENT_BYTES));
        }
        let at = at.unwrap_or_else(|| {
            self.partial.push(Partial { index, ..Partial::default() });
            self.partial.len() - 1
        });
        let Some(call) = self.partial.get_mut(at) else {
            return Ok(());
        };
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = name;
        } else if !name.is_empty() && name != call.name && call.arguments.is_empty() {
            // A name in pieces.
            call.name.push_str(&name);
        }
        if as_value {
            call.arguments = arguments;
        } else {
            call.arguments.push_str(&arguments);
        }
        Ok(())
    }

    /// The call that a fragment belongs to; nothing for a new one.
    fn place(&self, index: Option<u64>, id: &str, name: &str, as_value: bool) -> Option<usize> {
        // A fragment that carries a name may begin a call; one without never does while there is one to continue.
        let begins = !name.is_empty();
        if let Some(index) = index {
            let at = self.partial.iter().rposition(|call| call.index == Some(index))?;
            let call = self.partial.get(at)?;
            let other_id = !id.is_empty() && !call.id.is_empty() && id != call.id;
            let whole_again = id.is_empty() && call.is_whole() && (as_value || call.id.is_empty());
            return (!(begins && (other_id || whole_again))).then_some(at);
        }
        if !id.is_empty()
            && let Some(at) = self.partial.iter().rposition(|call| call.id == id)
        {
            return Some(at);
        }
        let at = self.partial.len().checked_sub(1)?;
        let call = self.partial.get(at)?;
        let other_id = !id.is_empty() && !call.id.is_empty();
        let new = begins && (other_id || as_value || call.is_whole() || name != call.name);
        (!new).then_some(at)
    }

    /// The complete calls, with ids invented where the server gave none or gave one twice.
    ///
    /// `cut` says that the answer ended early: then only calls whose arguments are a complete object are kept, because
    /// half of a call must not run. `used` are the ids of the conversation so far, which an invented one must not repeat.
    pub fn finish(self, cut: bool, used: &HashSet<String>) -> Vec<ToolCall> {
        let mut seen = HashSet::new();
        let mut taken = used.clone();
        self.partial
            .into_iter()
            .filter(|call| !call.name.is_empty() && (!cut || call.is_whole()))
            .map(|mut call| {
                if call.arguments.trim().is_empty() {
                    call.arguments = "{}".to_owned();
                }
                if call.id.is_empty() || seen.contains(&call.id) {
                    call.id = invented(&mut taken);
                }
                seen.insert(call.id.clone());
                taken.insert(call.id.clone());
                ToolCall { id: call.id, name: call.name, arguments: call.arguments }
            })
            .collect()
    }
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() && text.trim_start().starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Feed fragments one a delta, and show the calls as (id, name, arguments).
    fn calls(fragments: &[Value], cut: bool) -> Vec<(String, String, String)> {
        let mut calls = Calls::default();
        for fragment in fragments {
            calls.take(&json!([fragment])).unwrap();
        }
        calls.finish(cut, &HashSet::new()).into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn want(list: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        list.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect()
    }

    #[test]
    fn as_documented() {
        let got = calls(
            &[
                json!({"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}),
                json!({"index":0,"function":{"arguments":"{\"x\":"}}),
                json!({"index":1,"id":"b","function":{"name":"g","arguments":"{"}}),
                json!({"index":0,"function":{"arguments":"1}"}}),
                json!({"index":1,"function":{"arguments":"}"}}),
            ],
            false,
        );
        assert_eq!(got, want(&[("a", "f", "{\"x\":1}"), ("b", "g", "{}")]));
    }

    #[test]
    fn what_servers_really_send() {
        // Neither index nor id, whole arguments; the same function twice.
        let got = calls(
            &[
                json!({"function":{"name":"f","arguments":"{\"x\":1}"}}),
                json!({"function":{"name":"f","arguments":"{\"x\":2}"}}),
            ],
            false,
        );
        assert_eq!(got, want(&[("call_1", "f", "{\"x\":1}"), ("call_2", "f", "{\"x\":2}")]));
        // Arguments as an object, index 0 for every call, different ids.
        let got = calls(
            &[
                json!({"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}),
                json!({"index":0,"id":"b","function":{"name":"f","arguments":{"x":2}}}),
            ],
            false,
        );
        assert_eq!(got, want(&[("a", "f", "{\"x\":1}"), ("b", "f", "{\"x\":2}")]));
        // Index 0 for every call and no ids.
        let got = calls(
            &[
                json!({"index":0,"function":{"name":"f","arguments":"{\"x\":1}"}}),
                json!({"index":0,"function":{"name":"g","arguments":"{}"}}),
            ],
            false,
        );
        assert_eq!(got, want(&[("call_1", "f", "{\"x\":1}"), ("call_2", "g", "{}")]));
        // Fragments without index; the id only in the first.
        let got = calls(
            &[
                json!({"id":"a","function":{"name":"f"}}),
                json!({"function":{"arguments":"{\"x\""}}),
                json!({"function":{"arguments":":1}"}}),
                json!({"id":"b","function":{"name":"f","arguments":"{}"}}),
            ],
            false,
        );
        assert_eq!(got, want(&[("a", "f", "{\"x\":1}"), ("b", "f", "{}")]));
        // A new id for every fragment, the name only in the first; then the name in every fragment.
        let got = calls(
            &[
                json!({"index":0,"id":"a1","function":{"name":"f","arguments":"{"}}),
                json!({"index":0,"id":"a2","function":{"arguments":"}"}}),
                json!({"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\":"}}),
                json!({"index":1,"id":"b","function":{"name":"g","arguments":"2}"}}),
            ],
            false,
        );
        assert_eq!(got, want(&[("a1", "f", "{}"), ("b", "g", "{\"y\":2}")]));
        // A name in pieces; the same id twice; a fragment that is no call at all; rubbish.
        let got = calls(
            &[
                json!({"index":0,"id":"a","function":{"name":"get_"}}),
                json!({"index":0,"function":{"name":"logs","arguments":null}}),
                json!({"index":1,"id":"a","function":{"name":"g","arguments":"{}"}}),
                json!({"index":2}),
                json!(7),
            ],
            false,
        );
        assert_eq!(got, want(&[("a", "get_logs", "{}"), ("call_1", "g", "{}")]));
    }

    #[test]
    fn a_call_that_was_cut_is_dropped() {
        let fragments = [
            json!({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}),
            json!({"index":1,"id":"b","function":{"name":"g","arguments":"{\"path\":\"/"}}),
            json!({"index":2,"id":"c","function":{"name":"h","arguments":""}}),
        ];
        assert_eq!(calls(&fragments, true), want(&[("a", "f", "{}")]));
        assert_eq!(calls(&fragments, false).len(), 3);
    }

    #[test]
    fn invented_ids_are_new_to_the_conversation() {
        let mut calls = Calls::default();
        calls.take(&json!([{"function":{"name":"f"}}])).unwrap();
        let used = HashSet::from(["call_1".to_owned(), "call_2".to_owned()]);
        assert_eq!(calls.finish(false, &used)[0].id, "call_3");
    }

    #[test]
    fn bounded() {
        let mut calls = Calls::default();
        let many: Vec<_> = (0..=MAX_CALLS).map(|n| json!({"index":n,"function":{"name":"f"}})).collect();
        assert_eq!(calls.take(&json!(many)).unwrap_err().code, "protocol");
        let mut calls = Calls::default();
        let long = json!([{"index":0,"function":{"arguments":"x".repeat(MAX_ARGUMENT_BYTES / 2)}}]);
        calls.take(&long).unwrap();
        calls.take(&long).unwrap();
        assert_eq!(calls.take(&long).unwrap_err().code, "protocol");
    }
}
