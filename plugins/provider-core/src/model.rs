//! The contract's records (`fumehood:provider/provider`) as plain Rust, in the contract's words.

/// A model that the server lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// What [`ChatRequest::model`] takes.
    pub id: String,
    /// What a person reads.
    pub name: String,
    /// In tokens, where the server says.
    pub context_tokens: Option<u64>,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// What it does.
    pub description: String,
    /// A JSON Schema object, as JSON.
    pub parameters: String,
}

/// A call that the model asks for. The arguments are untrusted, and perhaps not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Round-trips unchanged.
    pub id: String,
    /// As the model wrote it.
    pub name: String,
    /// As the model wrote them.
    pub arguments: String,
}

/// One turn of the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`; unknown is treated as `user`.
    pub role: String,
    /// The text.
    pub text: String,
    /// What an assistant asked for.
    pub tool_calls: Vec<ToolCall>,
    /// For role `tool`: the call that this answers.
    pub tool_call_id: Option<String>,
    /// Reasoning that goes back unchanged, under the name it came with.
    pub extensions: Vec<(String, String)>,
}

/// A conversation to complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The model's id; empty for the setting `model`.
    pub model: String,
    /// In order.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// In tokens.
    pub max_output_tokens: Option<u32>,
    /// 0 to 2.
    pub temperature: Option<f32>,
}

/// Tokens used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The prompt's.
    pub input_tokens: u64,
    /// The answer's.
    pub output_tokens: u64,
}

/// One step of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The next piece of text.
    pub text: String,
    /// The next piece of reasoning.
    pub reasoning: String,
    /// Calls that are complete.
    pub tool_calls: Vec<ToolCall>,
    /// Tokens used, where the server says.
    pub usage: Option<Usage>,
    /// On the last event: `end`, `length`, `tool-calls`, `filtered`.
    pub stop: Option<&'static str>,
    /// Reasoning to send back unchanged.
    pub extensions: Vec<(String, String)>,
}

impl Event {
    /// Whether there is nothing in it worth waking the host for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Names of the reasoning that a server may want back within a round of tool calls. Both ways: the extension's name is
/// the field's name in the API.
pub const REASONING_TEXT_FIELDS: [&str; 2] = ["reasoning_content", "reasoning"];
/// Structured reasoning (OpenRouter): a JSON array, sent back unchanged with every assistant message.
pub const REASONING_DETAILS: &str = "reasoning_details";
