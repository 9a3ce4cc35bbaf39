//! The way to whoever leads a component.

use super::{LeaderFollower, LeaderInformation};
use crate::{
    host::Host,
    system::{
        rpc::{Ask, Gateway, RpcError, RpcService},
        service::coordination::Coordination,
    },
};
use futures::{
    FutureExt,
    future::{Either, pending, select},
};
use serde::de::DeserializeOwned;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Follows who leads a component, and connects to whoever does.
pub struct LeaderGateway<G> {
    service: RpcService,
    leader: LeaderFollower,
    connected: Mutex<Option<(LeaderInformation, G)>>,
    call_timeout: Duration,
    retry_delay: Duration,
}

impl<G: Gateway + Clone> LeaderGateway<G> {
    /// Begins to follow the component's leader. A call to it, and the handshake before, wait for 2 s; 500 ms
    /// pass before something is tried again.
    pub fn new(
        service: &RpcService,
        coordination: &Arc<dyn Coordination>,
        component: &str,
    ) -> Self {
        LeaderGateway {
            service: service.clone(),
            leader: LeaderFollower::new(coordination, component),
            connected: Mutex::new(None),
            call_timeout: CALL_TIMEOUT,
            retry_delay: RETRY_DELAY,
        }
    }

    /// The same with other times.
    #[must_use]
    pub fn with_times(self, call_timeout: Duration, retry_delay: Duration) -> Self {
        LeaderGateway { call_timeout, retry_delay, ..self }
    }

    /// The host of its process.
    pub fn host(&self) -> &Host {
        self.service.host()
    }

    /// A gateway to the leader, as soon as there is one. Whoever leads no more, as far as is known here, is not
    /// waited for and not called.
    pub async fn gateway(&self) -> G {
        let mut leaders = self.leader.observe();
        let mut known = None::<LeaderInformation>;
        loop {
            let connect = match known {
                Some(leader) => self.connect(leader).boxed(),
                None => pending().boxed(),
            };
            known = match select(leaders.changed().boxed(), connect).await {
                Either::Left((leader, _)) => leader,
                Either::Right((gateway, _)) => return gateway,
            };
        }
    }

    /// A gateway to that leader, tried until there is one.
    async fn connect(&self, leader: LeaderInformation) -> G {
        let known = self.connected.lock().expect("no panic under this lock").clone();
        if let Some((of, gateway)) = known
            && of == leader
        {
            return gateway;
        }
        loop {
            let connect = leader.connect::<G>(&self.service);
            if let Ok(Ok(gateway)) = self.host().timeout(self.call_timeout, connect).await {
                let gateway = gateway.with_timeout(self.call_timeout);
                let mut connected = self.connected.lock().expect("no panic under this lock");
                *connected = Some((leader, gateway.clone()));
                return gateway;
            }
            self.host().sleep(self.retry_delay).await;
        }
    }

    /// Asks whoever leads until there is an answer; drop the future to give up. `unanswered` hears of each try that
    /// came to nothing.
    pub async fn call<T: DeserializeOwned>(
        &self,
        mut ask: impl FnMut(&G) -> Ask<T>,
        mut unanswered: impl FnMut(RpcError),
    ) -> T {
        loop {
            let gateway = self.gateway().await;
            match ask(&gateway).await {
                Ok(answer) => return answer,
                Err(error) => unanswered(error),
            }
            self.forget_and_wait().await;
        }
    }

    /// A call gave no answer: the way to the leader is found anew, after a pause.
    pub async fn forget_and_wait(&self) {
        *self.connected.lock().expect("no panic under this lock") = None;
        self.host().sleep(self.retry_delay).await;
    }
}
