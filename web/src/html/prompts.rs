//! Prompts of MCP servers, to begin a message with.

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::store::{IncidentId, ServerId};
use fumehood_triage::tools::ChosenPrompt;
use fumehood_triage::{Permission, TriageError};

use super::session::Reader;
use super::{PageError, id, page};
use crate::units::Id;
use crate::view::Field;
use crate::view::bench::Tab;
use crate::view::prompts::{PromptField, PromptRow, PromptsPage, SuggestionsFragment};

/// Arguments that a form has at most.
const FIELDS: usize = 32;

/// The page, with what was typed for one of the prompts and why it could not be used.
async fn prompts_page(
    reader: &Reader,
    incident: IncidentId,
    refused: Option<(ChosenPrompt, String)>,
) -> Result<PromptsPage, TriageError> {
    let (offered, problems) = reader.app().prompts(&reader.scope, incident).await?;
    let around = reader.workbench(incident, Tab::Chat, None).await?;
    let prompts = offered.into_iter().map(|prompt| {
        let mine =
            |chosen: &&(ChosenPrompt, String)| chosen.0.server == prompt.server_id && chosen.0.name == prompt.name;
        let refused = refused.as_ref().filter(mine);
        let typed = |name: &str| {
            let given = refused.and_then(|(chosen, _)| chosen.arguments.iter().find(|(known, _)| known == name));
            given.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        PromptRow {
            server_id: Id::new(prompt.server_id.to_string()),
            server: prompt.server,
            title: prompt.title,
            description: prompt.description,
            fields: prompt
                .arguments
                .into_iter()
                .map(|argument| PromptField {
                    value: typed(&argument.name),
                    name: argument.name,
                    title: argument.title,
                    description: argument.description,
                    required: argument.required,
                })
                .collect(),
            completes: prompt.completes,
            error: refused.map(|(_, error)| error.clone()),
            name: prompt.name,
        }
    });
    Ok(PromptsPage { prompts: prompts.collect(), problems, frame: around.frame, bench: around.bench })
}

/// What was chosen and typed, and the number of the argument that is being typed.
fn chosen(input: &[(String, String)]) -> Result<(ChosenPrompt, usize), PageError> {
    let of = |key: &str| input.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    let server: ServerId = id(&of("server").unwrap_or_default(), "MCP server")?;
    let arguments =
        (0..FIELDS).map_while(|at| Some((of(&format!("k{at}"))?, of(&format!("v{at}")).unwrap_or_default())));
    let prompt = ChosenPrompt { server, name: of("name").unwrap_or_default(), arguments: arguments.collect() };
    Ok((prompt, of("at").and_then(|at| at.parse().ok()).unwrap_or_default()))
}

pub(crate) async fn prompts(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    reader.needs(Permission::ApproveTools)?;
    let view = prompts_page(&reader, id(&text, "incident")?, None).await?;
    Ok(page(StatusCode::OK, &view))
}

/// Answers with the conversation, and what the prompt says as the draft of a message.
pub(crate) async fn use_prompt(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    reader.needs(Permission::ApproveTools)?;
    let incident: IncidentId = id(&text, "incident")?;
    let (prompt, _) = chosen(&input)?;
    match reader.app().prompt(&reader.scope, incident, &prompt).await {
        Ok(said) => Ok(page(StatusCode::OK, &super::chat::chat_view(&reader, incident, Field::new(said)).await?)),
        Err(TriageError::Conflict(problem)) => {
            let view = prompts_page(&reader, incident, Some((prompt, problem))).await?;
            Ok(page(StatusCode::CONFLICT, &view))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a server suggests; nothing where it does not.
pub(crate) async fn complete(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    reader.needs(Permission::ApproveTools)?;
    let (prompt, at) = chosen(&input)?;
    let Some((argument, _)) = prompt.arguments.get(at).cloned() else {
        return Err(TriageError::NotFound { what: "argument" }.into());
    };
    let found = reader.app().complete_prompt(&reader.scope, id(&text, "incident")?, &prompt, &argument).await;
    let values = match found {
        Ok(values) => values,
        // Whoever types goes on without suggestions.
        Err(TriageError::Conflict(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(page(StatusCode::OK, &SuggestionsFragment { values }))
}
