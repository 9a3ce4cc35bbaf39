//! Work beside a main thread that ends with its owner.

use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, Shared, select},
};
use std::future::Future;

/// Ends the futures wrapped by it when it is dropped or closed.
pub struct Scope {
    close: Option<oneshot::Sender<()>>,
    closed: Shared<oneshot::Receiver<()>>,
}

impl Default for Scope {
    fn default() -> Self {
        let (close, closed) = oneshot::channel();
        Scope { close: Some(close), closed: closed.shared() }
    }
}

impl Scope {
    /// The future, or `None` as soon as the scope is over.
    pub fn wrap<T, F>(&self, future: F) -> impl Future<Output = Option<T>> + Send + use<T, F>
    where
        F: Future<Output = T> + Send,
        T: Send,
    {
        let closed = self.closed.clone();
        async move {
            let future = future.boxed();
            match select(closed, future).await {
                Either::Left(_) => None,
                Either::Right((output, _)) => Some(output),
            }
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.close.is_none()
    }

    /// Ends what was wrapped.
    pub fn close(&mut self) {
        self.close = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{pending, ready};

    #[test]
    fn work_ends_with_its_scope() {
        let mut scope = Scope::default();
        assert_eq!(scope.wrap(ready(1)).now_or_never(), Some(Some(1)));
        let mut endless = Box::pin(scope.wrap(pending::<()>()));
        assert_eq!((&mut endless).now_or_never(), None);
        assert!(!scope.is_closed());
        scope.close();
        assert!(scope.is_closed());
        assert_eq!(endless.now_or_never(), Some(None));
        assert_eq!(scope.wrap(ready(1)).now_or_never(), Some(None));
    }
}
