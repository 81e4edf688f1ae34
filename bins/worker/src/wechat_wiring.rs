//! What stands where nothing is connected: no apps.

use async_trait::async_trait;
use wechat::wire::{Wire, WireError, WireRequest, WireResponse};

/// Without apps there is nobody to call.
pub(crate) struct NoWire;

#[async_trait]
impl Wire for NoWire {
    async fn exchange(&self, _: WireRequest) -> Result<WireResponse, WireError> {
        Err(WireError::NotSent)
    }
}
