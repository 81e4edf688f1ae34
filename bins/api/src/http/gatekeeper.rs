//! The gatekeeper over the application's credentials and the sessions of `account`.

use std::sync::Arc;

use account::session::{ResolvedSession, SessionToken};
use account::{Accounts, AppAccess, AppCredentials, AppHeaders};
use async_trait::async_trait;

use crate::http::caller::{Gatekeeper, KnownSession};
use crate::http::problem::ApiError;

/// Knows the configured application and asks `account` for sessions.
pub struct AccountGatekeeper {
    pub credentials: AppCredentials,
    pub accounts: Arc<Accounts>,
}

#[async_trait]
impl Gatekeeper for AccountGatekeeper {
    fn check_app(&self, sent: AppHeaders<'_>) -> Result<AppAccess, ApiError> {
        Ok(self.credentials.check(sent)?)
    }

    async fn find_session(&self, token: &str) -> Result<Option<KnownSession>, ApiError> {
        let found = self.accounts.resolve(&SessionToken::shown(token)).await?;
        Ok(found.map(|ResolvedSession { actor, session }| KnownSession { id: session.id, actor }))
    }
}
