//! Settings: people, API tokens.

use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use fumehood_triage::store::people::{ApiToken, SignInLink, User};
use fumehood_triage::store::{LinkId, TokenId, UserId, clock};
use fumehood_triage::{Permission, Role, TriageError};

use super::context::{notice, now, when};
use super::session::Reader;
use super::{PageError, id, page, see};
use crate::units::Id;
use crate::view::settings::{InvitationRow, PeoplePage, PersonRow, TokenRow, TokensPage};
use crate::view::{Crumb, Field, Frame, Place, Tone};

pub(super) fn settings_frame(reader: &Reader, title: &str) -> Frame {
    reader.frame(title, Place::Settings, vec![Crumb::link("Settings", "/settings"), Crumb::here(title)])
}

async fn people_view(reader: &Reader) -> Result<PeoplePage, TriageError> {
    let (now, names) = (now(), reader.names().await?);
    let row = |user: User| PersonRow {
        you: user.id == reader.user.id,
        id: Id::new(user.id.to_string()),
        name: user.name,
        email: user.email,
        role: user.role,
        state: if user.disabled_us.is_some() { "off".into() } else { "active".into() },
        seen: user.seen_us.map(|at| when(at, now)),
    };
    let link = |link: SignInLink| InvitationRow {
        id: Id::new(link.id.to_string()),
        note: match (link.user_id, link.email.is_empty()) {
            (Some(_), _) => format!("{}, new password", link.email),
            (None, true) => link.note,
            (None, false) => link.email,
        },
        role: link.role,
        by: names.of(&link.created_by),
        until: when(link.expires_us, now),
    };
    let users = reader.app().users(&reader.scope).await?;
    let links = reader.app().invitations(&reader.scope).await?;
    Ok(PeoplePage {
        frame: settings_frame(reader, "People"),
        people: users.into_iter().map(row).collect(),
        invitations: links.into_iter().map(link).collect(),
        note: Field::default(),
        role: String::new(),
        made: None,
        made_for: String::new(),
    })
}

pub(crate) async fn people(reader: Reader) -> Result<Response, PageError> {
    reader.needs(Permission::ManagePeople)?;
    Ok(page(StatusCode::OK, &people_view(&reader).await?))
}

fn role_of(text: &str) -> Result<Role, TriageError> {
    let text = if text.is_empty() { "responder" } else { text };
    text.parse().map_err(|_| TriageError::Invalid { field: "role", message: "There is no such role.".into() })
}

#[derive(serde::Deserialize)]
pub(crate) struct InviteInput {
    /// Whom it is for: an e-mail address, which the account then has, or a note.
    #[serde(default)]
    note: String,
    #[serde(default)]
    role: String,
}

pub(crate) async fn invite(reader: Reader, Form(input): Form<InviteInput>) -> Result<Response, PageError> {
    let role = role_of(&input.role)?;
    let invited = reader.app().invite(&reader.scope, role, &input.note).await;
    let mut view = people_view(&reader).await?;
    let status = match invited {
        Ok(path) => {
            let until = when(clock::now_us() + fumehood_triage::people::LINK_US, now());
            view.made = Some((format!("{}{path}", reader.shared.options.public_url), until));
            view.made_for = "Send this link.".into();
            StatusCode::OK
        }
        Err(TriageError::Invalid { message, .. }) => {
            view.note = Field::wrong(input.note, message);
            view.role = input.role;
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(error) => return Err(error.into()),
    };
    Ok(page(status, &view))
}

pub(crate) async fn withdraw(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let link: LinkId = id(&text, "sign-in link")?;
    reader.app().withdraw(&reader.scope, link).await?;
    Ok(see("/settings/people"))
}

#[derive(serde::Deserialize)]
pub(crate) struct RoleInput {
    role: String,
}

async fn change_person(
    reader: &Reader,
    text: &str,
    role: Option<Role>,
    off: Option<bool>,
) -> Result<Response, PageError> {
    let wanted: UserId = id(text, "person")?;
    let users = reader.app().users(&reader.scope).await?;
    let user = users.iter().find(|user| user.id == wanted).ok_or(TriageError::NotFound { what: "person" })?;
    let role = role.unwrap_or_else(|| user.role());
    // Another role does not let in who is switched off.
    let off = off.unwrap_or(user.disabled_us.is_some());
    match reader.app().set_user(&reader.scope, wanted, role, off).await {
        Ok(()) => Ok(see("/settings/people")),
        Err(TriageError::Conflict(message)) => {
            let mut view = people_view(reader).await?;
            view.frame.notice = notice(Tone::Bad, message);
            Ok(page(StatusCode::CONFLICT, &view))
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn set_role(
    reader: Reader,
    Path(text): Path<String>,
    Form(input): Form<RoleInput>,
) -> Result<Response, PageError> {
    change_person(&reader, &text, Some(role_of(&input.role)?), None).await
}

/// A link with which somebody sets a new password; shown once.
pub(crate) async fn password_link(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let user: UserId = id(&text, "person")?;
    let path = reader.app().password_link(&reader.scope, user).await?;
    let mut view = people_view(&reader).await?;
    let until = when(clock::now_us() + fumehood_triage::people::LINK_US, now());
    let whom = view.people.iter().find(|person| person.id.as_str() == text).map_or("them", |person| &person.name);
    view.made_for = format!("Send this link to {whom}: it sets a new password.");
    view.made = Some((format!("{}{path}", reader.shared.options.public_url), until));
    Ok(page(StatusCode::OK, &view))
}

pub(crate) async fn person_off(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    change_person(&reader, &text, None, Some(true)).await
}

pub(crate) async fn person_on(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    change_person(&reader, &text, None, Some(false)).await
}

async fn tokens_view(reader: &Reader) -> Result<TokensPage, TriageError> {
    let (now, names) = (now(), reader.names().await?);
    let row = |token: ApiToken| TokenRow {
        id: Id::new(token.id.to_string()),
        name: token.name,
        role: token.role,
        by: names.of(&token.created_by),
        created: when(token.created_us, now),
        expires: token.expires_us.map(|at| when(at, now)),
        expired: token.expires_us.is_some_and(|at| at <= clock::now_us()),
        used: token.used_us.map(|at| when(at, now)),
        revoked: token.revoked_us.is_some(),
    };
    Ok(TokensPage {
        frame: settings_frame(reader, "API tokens"),
        tokens: reader.app().tokens(&reader.scope).await?.into_iter().map(row).collect(),
        name: Field::default(),
        role: String::new(),
        days: Field::default(),
        created: None,
    })
}

pub(crate) async fn tokens(reader: Reader) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &tokens_view(&reader).await?))
}

#[derive(serde::Deserialize)]
pub(crate) struct TokenInput {
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    /// Days that it is in force; empty where it does not run out.
    #[serde(default)]
    days: String,
}

pub(crate) async fn create_token(reader: Reader, Form(input): Form<TokenInput>) -> Result<Response, PageError> {
    let role = role_of(&input.role)?;
    let created = match input.days.trim() {
        "" => reader.app().create_token(&reader.scope, &input.name, role, None).await,
        days => match days.parse() {
            Ok(days) => reader.app().create_token(&reader.scope, &input.name, role, Some(days)).await,
            Err(_) => {
                let message = "Give the days as a whole number, or nothing for a token that does not run out.".into();
                Err(TriageError::Invalid { field: "days", message })
            }
        },
    };
    let mut view = tokens_view(&reader).await?;
    let status = match created {
        Ok((_, token)) => {
            view.created = Some(token);
            StatusCode::OK
        }
        Err(TriageError::Invalid { field, message }) => {
            (view.name, view.days) = (Field::new(input.name), Field::new(input.days));
            let wrong = if field == "days" { &mut view.days } else { &mut view.name };
            wrong.error = Some(message);
            view.role = input.role;
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(error) => return Err(error.into()),
    };
    Ok(page(status, &view))
}

pub(crate) async fn revoke_token(reader: Reader, Path(text): Path<String>) -> Result<Response, PageError> {
    let token: TokenId = id(&text, "token")?;
    reader.app().revoke_token(&reader.scope, token).await?;
    Ok(see("/settings/tokens"))
}
