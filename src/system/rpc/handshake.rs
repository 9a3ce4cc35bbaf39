//! What is checked before the first call: both sides speak the same version of the same protocol.

use super::{error::RpcError, protocol::Protocol};
use crate::host::Kind;

/// The number that stands for "do you speak this protocol?" in place of a method's.
pub(super) const HANDSHAKE: u16 = u16::MAX;
pub(super) const HANDSHAKE_KIND: Kind = Kind::new("handshake");
pub(super) const REFUSED: Kind = Kind::new("refused");
pub(super) const HANDSHAKE_REPLY: Kind = Kind::new("handshake.reply");
pub(super) const DAMAGED: Kind = Kind::new("damaged");

/// The kinds of frames that belong to no protocol's method.
pub const SERVICE_KINDS: &[Kind] = &[HANDSHAKE_KIND, HANDSHAKE_REPLY, REFUSED, DAMAGED];

/// The version of frames, the gateway's name and the hash of its methods.
pub(super) type Greeting<'a> = (u16, &'a str, u64);

/// Whether an endpoint of this protocol can answer whoever sends this greeting.
pub(super) fn shake_hands(
    protocol: &Protocol,
    greeting: &[u8],
    spoken: u16,
) -> Result<(), RpcError> {
    let greeting = postcard::from_bytes(greeting);
    compare(protocol, greeting.map_err(|error| RpcError::Malformed(error.to_string()))?, spoken)
}

/// Whether an endpoint of this protocol, which speaks that version, can answer whoever greets it so.
pub(super) fn compare(
    protocol: &Protocol,
    (version, name, hash): Greeting<'_>,
    spoken: u16,
) -> Result<(), RpcError> {
    if version != spoken {
        let text = format!("protocol version {version} where {spoken} is spoken");
        return Err(RpcError::Incompatible(text));
    }
    if name != protocol.name {
        let text = format!("a {name} where a {} is spoken", protocol.name);
        return Err(RpcError::Incompatible(text));
    }
    if hash != protocol.hash() {
        return Err(RpcError::Incompatible(format!("another list of methods in {name}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::wire::PROTOCOL_VERSION, *};

    const PROTOCOL: Protocol = Protocol { name: "TestGateway", methods: &[] };

    #[test]
    fn another_version_name_or_list_of_methods_is_refused_and_so_is_nonsense() {
        let (name, hash) = (PROTOCOL.name, PROTOCOL.hash());
        assert_eq!(compare(&PROTOCOL, (PROTOCOL_VERSION, name, hash), PROTOCOL_VERSION), Ok(()));
        let others = [
            (PROTOCOL_VERSION + 1, name, hash),
            (PROTOCOL_VERSION - 1, name, hash),
            (PROTOCOL_VERSION, "OtherGateway", hash),
            (PROTOCOL_VERSION, name, hash ^ 1),
        ];
        for greeting in others {
            let refused = compare(&PROTOCOL, greeting, PROTOCOL_VERSION);
            assert!(matches!(refused, Err(RpcError::Incompatible(_))), "{greeting:?}");
            let greeting = postcard::to_allocvec(&greeting).expect("it can be encoded");
            assert_eq!(shake_hands(&PROTOCOL, &greeting, PROTOCOL_VERSION), refused);
        }
        let refused = shake_hands(&PROTOCOL, &[0xff], PROTOCOL_VERSION);
        assert!(matches!(refused, Err(RpcError::Malformed(_))), "{refused:?}");
    }
}
