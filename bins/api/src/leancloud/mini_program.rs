//! Signing in from a mini-program while none is configured.

use async_trait::async_trait;
use leancloud::rest::{MiniProgramError, MiniProgramLogin, WeappPerson};

/// Knows no mini-program.
pub struct NoMiniProgram;

#[async_trait]
impl MiniProgramLogin for NoMiniProgram {
    async fn exchange(&self, _code: &str) -> Result<WeappPerson, MiniProgramError> {
        Err(MiniProgramError::NotConfigured)
    }
}
