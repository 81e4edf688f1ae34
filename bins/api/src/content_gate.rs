//! Messages between people on their way through the content checks.
//!
//! Texts are looked at before they are stored, within the budget of `wechat.content_checks`; pictures and sounds
//! are stored, and a job has them looked at. Without mini-programs there is no gate at all.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use consultation::ConsultationStore;
use domain::StoreError;
use domain::id::{DoctorId, PatientId, UserId};
use im::gate::{self, Admission, ContentGate};
use im::{ImStore, MemberKind, MessageKind, NewMessage};
use wechat::WechatError;
use wechat::content::{Author, Contents, Medium, Ruling, Subject};

/// Asks about messages.
pub(crate) struct ChatGate {
    pub(crate) contents: Contents,
    pub(crate) people: Arc<dyn ConsultationStore>,
    pub(crate) im: Arc<dyn ImStore>,
}

#[async_trait]
impl ContentGate for ChatGate {
    async fn admit(&self, message: &NewMessage) -> Admission {
        match self.judge(message).await {
            Ok(admission) => admission,
            Err(error) => {
                // Storing it meets the same trouble, if there still is any.
                tracing::warn!(error = &error as &dyn Error, "a message could not be looked at");
                Admission::Pass
            }
        }
    }
}

impl ChatGate {
    async fn judge(&self, message: &NewMessage) -> Result<Admission, WechatError> {
        let words = gate::words_of(&message.kind, &message.content);
        let media = gate::media_of(&message.kind, &message.content);
        if words.is_none() && media.is_none() {
            return Ok(Admission::Pass);
        }
        let Some(subject) = subject_of(message) else { return Ok(Admission::Pass) };
        if self.is_stored(message, &subject).await? {
            return Ok(Admission::Pass);
        }
        let Some(author) = self.author(message).await? else { return Ok(Admission::Pass) };
        if let Some(file) = media {
            let medium = if message.kind == MessageKind::Voice { Medium::Sound } else { Medium::Picture };
            self.contents.plan_media(subject.clone(), author, file.0, medium).await?;
        }
        let Some(words) = words else { return Ok(Admission::Pass) };
        let body = gate::write_held(message);
        Ok(match self.contents.check_text(subject, author, &words, &body).await? {
            Ruling::Deliver => Admission::Pass,
            Ruling::Hold => Admission::Hold,
            Ruling::Refuse => Admission::Refuse,
        })
    }

    /// Whether this is a retry of a message that passed before.
    async fn is_stored(&self, message: &NewMessage, subject: &Subject) -> Result<bool, StoreError> {
        let (sender, name) = (&subject.sender, &subject.client_message_id);
        let mut unit = self.im.read();
        Ok(unit.messages().find_named(message.conversation_id, sender, name).await?.is_some())
    }

    /// Whose words they are: nobody's when the desk or the product itself writes.
    async fn author(&self, message: &NewMessage) -> Result<Option<Author>, StoreError> {
        let Some(sender) = message.sender.as_ref().filter(|_| message.acted_by.is_none()) else { return Ok(None) };
        let members = self.im.read().conversations().members(message.conversation_id).await?;
        let kind = members.iter().find(|member| member.client_id == *sender).map(|member| member.kind);
        Ok(match kind {
            Some(MemberKind::Patient) => {
                let Ok(id) = sender.parse::<PatientId>() else { return Ok(None) };
                let user = self.people.read().patients().find(id).await?.and_then(|patient| patient.user_id);
                // Who has no account is known to no mini-program: no identity belongs to the profile's own id.
                Some(Author::Patient(user.unwrap_or(UserId(id.0))))
            }
            Some(MemberKind::Doctor) => {
                let Ok(id) = sender.parse::<DoctorId>() else { return Ok(None) };
                let user = self.people.read().doctors().find(id).await?.and_then(|doctor| doctor.user_id);
                Some(Author::Doctor(user.unwrap_or(UserId(id.0))))
            }
            Some(MemberKind::Assistant | MemberKind::Other) | None => None,
        })
    }
}

/// What a message is known by before it is stored; `None` for what nobody sent.
fn subject_of(message: &NewMessage) -> Option<Subject> {
    let (sender, client_message_id) = (message.sender.clone()?, message.client_message_id.clone()?);
    Some(Subject { conversation: message.conversation_id.0, sender, client_message_id })
}
