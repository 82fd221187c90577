//! OpenAI's Responses: the API in which its models that think go on with their thoughts.

pub mod answer;
pub mod request;
