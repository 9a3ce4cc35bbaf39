//! L2: a fenced endpoint handles only what carries its present token.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::rpc::{EndpointId, FencingToken, RpcEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

type Endpoint = ((NodeId, u64), EndpointId);

/// Follows the tokens of fenced endpoints.
#[derive(Default)]
pub struct FencedMailbox {
    tokens: BTreeMap<Endpoint, (Option<FencingToken>, Option<Moment>)>,
}

impl ClusterInvariant for FencedMailbox {
    fn title(&self) -> &'static str {
        "L2 fenced-mailbox"
    }

    fn promise(&self) -> &'static str {
        "a fenced endpoint handles only messages that carry its present token"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware, EventKind::Rpc]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let event = match seen {
            EventRef::Rpc(event) => event,
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.tokens.retain(|(process, _), _| *process != at.process);
                return Check::Ignored;
            }
            _ => return Check::Ignored,
        };
        match event {
            RpcEvent::EndpointCreated { endpoint, fenced: true, .. } => {
                self.tokens.insert((at.process, *endpoint), (None, None));
            }
            RpcEvent::TokenChanged { endpoint, token } => {
                self.tokens.insert((at.process, *endpoint), (*token, Some(at)));
            }
            RpcEvent::HandlerStarted { endpoint, kind, token: found, call, .. } if *call > 0 => {
                let Some((token, since)) = self.tokens.get(&(at.process, *endpoint)) else {
                    return Check::Ignored;
                };
                if token.is_some() && token == found {
                    return Check::Passed;
                }
                let since = since.map_or("from the start".to_string(), |since| since.to_string());
                let named = |token: &Option<FencingToken>| match token {
                    Some(token) => format!("the token {token:?}"),
                    None => "no token".to_string(),
                };
                return Check::broken(
                    format!("{since}: the endpoint has {}", named(token)),
                    format!("{at}: {kind:?} with {} was handled", named(found)),
                );
            }
            _ => {}
        }
        Check::Ignored
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, FencedMailbox};

    const ENDPOINT: EndpointId = EndpointId(1);

    fn handled(token: Option<u128>) -> RpcEvent {
        let token = token.map(FencingToken);
        RpcEvent::HandlerStarted { endpoint: ENDPOINT, kind: KIND, sender: 1, call: 1, token }
    }

    fn token(token: Option<u128>) -> RpcEvent {
        RpcEvent::TokenChanged { endpoint: ENDPOINT, token: token.map(FencingToken) }
    }

    fn fenced(fenced: bool) -> History<FencedMailbox> {
        let name = "journal".to_string();
        History::new()
            .holds(process(1, 1), RpcEvent::EndpointCreated { endpoint: ENDPOINT, name, fenced })
    }

    #[test]
    fn the_present_token_and_unfenced_endpoints_are_accepted() {
        fenced(true).holds(process(1, 1), token(Some(7))).holds(process(1, 1), handled(Some(7)));
        fenced(false).holds(process(1, 1), handled(None));
    }

    #[test]
    fn a_stale_token_is_refused() {
        let moved =
            fenced(true).holds(process(1, 1), token(Some(7))).holds(process(1, 1), token(Some(8)));
        moved.breaks(process(1, 1), handled(Some(7)));
    }

    #[test]
    fn no_token_at_all_is_refused() {
        fenced(true).breaks(process(1, 1), handled(None));
        fenced(true).holds(process(1, 1), token(Some(7))).breaks(process(1, 1), handled(None));
    }
}
