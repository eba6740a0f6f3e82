use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::TransportError;

/// One HTTP exchange, with both bodies whole in memory.
///
/// An adapter speaks to its tool through this trait alone, so that a test can put a simulator, a recording or a
/// fault in its place. Whatever status the server answers with is a success here; an error means that there is no
/// usable answer.
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// Sends `request` and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// A [`TransportError`], which says by [`sent`](TransportError::sent) whether the server may have acted on the
    /// request all the same.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError>;
}

#[cfg(test)]
mod tests {
    use super::Transport;

    #[test]
    fn transport_is_object_safe() {
        fn takes(_: Option<&dyn Transport>) {}
        takes(None);
    }
}
