//! The kinds of messages that cross links, on which `message` matches.

use super::SystemKind;
use crate::{
    host::sim::{PACKET_KINDS, RESET_KIND},
    jobs::journal::JournalGateway,
    system::{
        protocol::{
            DispatcherGateway, JobMasterGateway, ResourceManagerGateway, TaskExecutorGateway,
        },
        rpc::{Gateway, Protocol, SERVICE_KINDS},
        service::{blobs::BlobGateway, coordination::CoordinationGateway, log::LogGateway},
    },
};

/// What the endpoints of a system speak.
fn protocols(system: SystemKind) -> Vec<&'static Protocol> {
    match system {
        SystemKind::Journal => vec![CoordinationGateway::PROTOCOL, JournalGateway::PROTOCOL],
        SystemKind::WordCount => vec![
            CoordinationGateway::PROTOCOL,
            BlobGateway::PROTOCOL,
            LogGateway::PROTOCOL,
            DispatcherGateway::PROTOCOL,
            ResourceManagerGateway::PROTOCOL,
            JobMasterGateway::PROTOCOL,
            TaskExecutorGateway::PROTOCOL,
        ],
    }
}

/// Every kind of message that can cross a link in scenarios of a system.
pub fn messages(system: SystemKind) -> Vec<&'static str> {
    let methods = protocols(system).into_iter().flat_map(|protocol| protocol.methods);
    let calls = methods.flat_map(|method| {
        let reply = method.is_ask.then(|| method.reply_kind.name());
        [method.kind.name()].into_iter().chain(reply)
    });
    let streams = match system {
        SystemKind::Journal => &[],
        SystemKind::WordCount => PACKET_KINDS,
    };
    let others = SERVICE_KINDS.iter().chain([&RESET_KIND]).chain(streams);
    calls.chain(others.map(|kind| kind.name())).collect()
}

/// What somebody may write to mean all messages of a gateway.
pub fn gateways(system: SystemKind) -> Vec<String> {
    let names = protocols(system).into_iter().map(|protocol| format!("{}.", protocol.name));
    let streams = (system == SystemKind::WordCount).then(|| "stream.".to_string());
    names.chain(streams).collect()
}
