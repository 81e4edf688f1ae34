//! Trying an app without changing anything: its credentials, and whether its templates are there.

use domain::Timestamp;

use crate::app::App;
use crate::reply::{CallError, read_json};
use crate::template::{list_call, read_all};
use crate::token::ask;
use crate::wire::Wire;

/// Asks the platform for the current token of an app, which replaces none, and for its templates. Answers the logical
/// names of those templates of the configuration that the console does not have.
///
/// # Errors
/// [`CallError`] when the platform refuses or does not answer.
pub async fn probe(wire: &dyn Wire, app: &App, now: Timestamp) -> Result<Vec<String>, CallError> {
    let (token, _) = ask(wire, app, false).await?;
    let answered = wire.exchange(list_call(app.kind).request(Some(token.expose()))).await?;
    let answer = read_json(&answered, &[token.expose(), app.secret.expose()])?;
    let found = read_all(app, &answer, now).ok_or(CallError::Ambiguous)?;
    let is_absent = |id: &String| !found.iter().any(|template| template.template_id == *id);
    Ok(app.templates.iter().filter(|(_, id)| is_absent(id)).map(|(name, _)| name.clone()).collect())
}
