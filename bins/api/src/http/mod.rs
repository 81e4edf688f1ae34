//! The native API over HTTP: what surrounds every request, and the areas with their operations.

pub mod admin;
pub mod assistant;
pub mod auth;
pub mod body;
pub mod caller;
pub mod catalogue;
pub mod certification;
pub mod console_session;
pub mod consultations;
pub mod context;
pub mod conversations;
pub mod desk;
pub mod desk_tasks;
pub mod dev;
pub mod docs;
pub mod doctors;
pub mod files;
pub mod frame;
pub mod framework_errors;
pub mod gatekeeper;
pub mod idempotency;
pub mod invitations;
mod measure;
pub mod messages;
pub mod messaging;
pub mod ops;
pub mod page;
pub mod patients;
pub mod problem;
pub mod relations;
pub mod router;
pub mod services;
pub mod shape;
pub mod sms_receipts;
pub mod spec;
pub mod sync;
pub mod values;
pub mod wechat;
pub mod words;

#[cfg(test)]
mod router_tests;
#[cfg(test)]
mod testing;

use poem_openapi::Tags;

/// The areas of the native API.
#[derive(Tags)]
pub enum Area {
    /// Signing in, sessions, and who one is.
    #[oai(rename = "auth")]
    Auth,
    /// Patients' profiles.
    #[oai(rename = "patients")]
    Patients,
    /// Doctors' profiles and cards.
    #[oai(rename = "doctors")]
    Doctors,
    /// A doctor's own certification.
    #[oai(rename = "certification")]
    Certification,
    /// A doctor's patients and a patient's doctors.
    #[oai(rename = "relations")]
    Relations,
    /// How patients come to a doctor.
    #[oai(rename = "invitations")]
    Invitations,
    /// Consultations and their trail.
    #[oai(rename = "consultations")]
    Consultations,
    /// Conversations, their members, and who has read how far.
    #[oai(rename = "conversations")]
    Conversations,
    /// Messages, and catching up with what happened.
    #[oai(rename = "messages")]
    Messages,
    /// The official assistant, for patients and doctors.
    #[oai(rename = "assistant")]
    Assistant,
    /// The desk that answers for the assistant, for agents.
    #[oai(rename = "desk")]
    Desk,
    /// Uploads and downloads.
    #[oai(rename = "files")]
    Files,
    /// Messages by WeChat.
    #[oai(rename = "wechat")]
    Wechat,
    /// For administrators.
    #[oai(rename = "admin")]
    Admin,
    /// Development aids.
    #[oai(rename = "dev")]
    Dev,
}

/// All operations of the native API.
pub type Apis = (
    auth::AuthApi,
    patients::PatientsApi,
    doctors::DoctorsApi,
    certification::CertificationApi,
    relations::RelationsApi,
    invitations::InvitationsApi,
    consultations::ConsultationsApi,
    (conversations::ConversationsApi, messages::MessagesApi, sync::SyncApi, assistant::AssistantApi, desk::DeskApis),
    files::FilesApi,
    admin::certifications::ReviewApi,
    (admin::consultations::VoidApi, admin::accounts::AccountsApi, desk_tasks::DeskTasksApi),
    admin::agents::AgentsApi,
    (admin::oversight::OversightApi, admin::directory::DirectoryApi, admin::sms::SmsApi),
    dev::DevApi,
    wechat::WechatApis,
);

/// All operations of the native API.
pub const fn apis() -> Apis {
    (
        auth::AuthApi,
        patients::PatientsApi,
        doctors::DoctorsApi,
        certification::CertificationApi,
        relations::RelationsApi,
        invitations::InvitationsApi,
        consultations::ConsultationsApi,
        (conversations::ConversationsApi, messages::MessagesApi, sync::SyncApi, assistant::AssistantApi, desk::apis()),
        files::FilesApi,
        admin::certifications::ReviewApi,
        (admin::consultations::VoidApi, admin::accounts::AccountsApi, desk_tasks::DeskTasksApi),
        admin::agents::AgentsApi,
        (admin::oversight::OversightApi, admin::directory::DirectoryApi, admin::sms::SmsApi),
        dev::DevApi,
        wechat::apis(),
    )
}
