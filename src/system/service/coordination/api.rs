//! What a process is promised by a coordination service.

use super::model::{
    KeyPattern, Lease, LeaseId, Range, Refusal, Revision, Transacted, Transaction, Update,
};
use crate::system::service::client::{ServiceClient, ServiceError};
use futures::future::BoxFuture;
use std::time::Duration;

/// Why a call has no value.
pub type CoordinationError = ServiceError<Refusal>;

/// Keys with revisions, transactions that compare and change them, leases with which keys go, and word of
/// what changes. What an election and a store of few, small and precious things need, and no more than
/// etcd has.
///
/// **Outcomes.** `Ok` is given when what was asked for is done and survives the loss of power. *Refused*
/// and *not done*: nothing was done. *Indeterminate*: it may be done at any time, also after calls that
/// were made later; only a read can tell. An indeterminate call is never taken for a refused one.
///
/// **Order.** Every write makes one revision, and all revisions are in one order. An update, and a read of what
/// fits in one answer, tell the keys as they stood at the revision that they name, and nobody is told of a revision that is not
/// durable. Who saw a revision is never shown an older state.
///
/// **Repeating.** Reads, keep-alives and revocations may be made again by anybody. A transaction may, if it
/// must not be made twice, only under a condition which the first makes untrue, such as
/// [`Compare::Unchanged`](super::Compare::Unchanged): that one never becomes true again. A lease whose grant
/// got no answer is left to expire.
///
/// **Leases** live by the service's clock, for their whole time anew after each keep-alive and after a
/// restart of the service. Who counts the time of his lease from when an answered keep-alive was *sent*
/// knows that it is over no later than the service, clocks being equal; [`Session`](super::Session) does.
///
/// **Sizes.** [`KEY_BYTES_MAX`](super::KEY_BYTES_MAX), [`VALUE_BYTES_MAX`](super::VALUE_BYTES_MAX),
/// [`STEPS_MAX`](super::STEPS_MAX); what goes beyond is refused.
pub trait Coordination: ServiceClient {
    /// How long a [`Session`](super::Session) of this process outlives its last contact.
    fn session_timeout(&self) -> Duration;

    /// Makes a transaction's changes together if all its conditions hold.
    ///
    /// # Errors
    /// [`CoordinationError`]; refused `Condition`, `LeaseOver`, `TooLarge` or `Full`.
    fn transact(
        &self,
        transaction: Transaction,
    ) -> BoxFuture<'_, Result<Transacted, CoordinationError>>;

    /// The keys that match. What one answer can't hold comes in several: its first keys are as they stood at
    /// the revision that it names, the others as they stood then or later.
    ///
    /// # Errors
    /// [`CoordinationError`]; never *refused*.
    fn read<'a>(&'a self, keys: &'a KeyPattern) -> BoxFuture<'a, Result<Range, CoordinationError>>;

    /// What changed among the matching keys after a revision, and no other keys; the whole of them without
    /// one, or when the service no longer knows what was removed since. Superseded values may be left out,
    /// the last change of a key never. Without a change it waits for one for a while, and is empty then, which
    /// is contact too. [`Watch`](super::Watch) goes from update to update.
    ///
    /// # Errors
    /// [`CoordinationError`]; refused `TooLarge` or `TooManyWatches`.
    fn changes<'a>(
        &'a self,
        keys: &'a KeyPattern,
        after: Option<Revision>,
    ) -> BoxFuture<'a, Result<Update, CoordinationError>>;

    /// Begins a lease that lives for `ttl` after each keep-alive; the service may bound the time, and says
    /// what it is.
    ///
    /// # Errors
    /// [`CoordinationError`]; refused `TooManyLeases`.
    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<Lease, CoordinationError>>;

    /// Lets a lease live for its whole time from now on.
    ///
    /// # Errors
    /// [`CoordinationError`]; refused `LeaseOver`.
    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CoordinationError>>;

    /// Ends a lease; its keys are removed.
    ///
    /// # Errors
    /// [`CoordinationError`]; refused `LeaseOver`.
    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CoordinationError>>;
}
