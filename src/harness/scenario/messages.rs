//! The kinds of messages that cross links, on which `message` matches.

use super::SubjectKind;
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

/// What the endpoints of a subject speak.
fn protocols(subject: SubjectKind) -> Vec<&'static Protocol> {
    match subject {
        SubjectKind::Journal => vec![CoordinationGateway::PROTOCOL, JournalGateway::PROTOCOL],
        SubjectKind::WordCount => vec![
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

/// Every kind of message that can cross a link in scenarios of a subject.
pub fn messages(subject: SubjectKind) -> Vec<&'static str> {
    let methods = protocols(subject).into_iter().flat_map(|protocol| protocol.methods);
    let calls = methods.flat_map(|method| {
        let reply = method.is_ask.then(|| method.reply_kind.name());
        [method.kind.name()].into_iter().chain(reply)
    });
    let streams = match subject {
        SubjectKind::Journal => &[],
        SubjectKind::WordCount => PACKET_KINDS,
    };
    let others = SERVICE_KINDS.iter().chain([&RESET_KIND]).chain(streams);
    calls.chain(others.map(|kind| kind.name())).collect()
}

/// What somebody may write to mean all messages of a gateway.
pub fn gateways(subject: SubjectKind) -> Vec<String> {
    let names = protocols(subject).into_iter().map(|protocol| format!("{}.", protocol.name));
    let streams = (subject == SubjectKind::WordCount).then(|| "stream.".to_string());
    names.chain(streams).collect()
}
