//! The client's two messages. RFC 5802 sections 5.1 and 7. What does not fit the grammar is no message.

use base64ct::{Base64, Encoding};
use std::borrow::Cow;

/// client-first-message: `n,,n=user,r=nonce`.
pub(super) struct ClientFirst<'a> {
    /// The part about channel binding and authorisation, with its last comma.
    pub(super) gs2_header: &'a str,
    /// client-first-message-bare: the rest.
    pub(super) bare: &'a str,
    pub(super) user_name: Cow<'a, str>,
    pub(super) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a str) -> Option<ClientFirst<'a>> {
        let (binding, rest) = message.split_once(',')?;
        // `n`: the client knows no channel binding. `y`: it does, and thinks that the broker does not, which is right.
        // `p=`: it insists.
        if binding != "n" && binding != "y" {
            return None;
        }
        let (authorized, bare) = rest.split_once(',')?;
        let gs2_header = &message[..message.len() - bare.len()];
        let mut attributes = bare.split(',');
        // An extension that must be understood (`m=`) would stand in the place of the name.
        let user_name = decoded_name(attributes.next()?.strip_prefix("n=")?)?;
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        // One may act for oneself only.
        let acts_for = match authorized.strip_prefix("a=") {
            Some(name) => Some(decoded_name(name)?),
            None if authorized.is_empty() => None,
            None => return None,
        };
        let is_oneself = acts_for.is_none_or(|name| name == user_name);
        (is_oneself && attributes.all(is_extension)).then_some(ClientFirst { gs2_header, bare, user_name, nonce })
    }
}

/// client-final-message: `c=biws,r=nonce,p=proof`.
pub(super) struct ClientFinal<'a> {
    /// The GS2 header in Base64, as there is no channel binding to follow it.
    pub(super) binding: &'a str,
    pub(super) nonce: &'a str,
    pub(super) proof: [u8; 32],
    /// client-final-message-without-proof.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a str) -> Option<ClientFinal<'a>> {
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut bytes = [0; 32];
        let proof = Base64::decode(proof, &mut bytes).ok()?.try_into().ok()?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next()?.strip_prefix("c=")?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        attributes.all(is_extension).then_some(ClientFinal { binding, nonce, proof, without_proof })
    }
}

/// A saslname: `,` and `=` are written `=2C` and `=3D`, and `=` stands for nothing else.
fn decoded_name(name: &str) -> Option<Cow<'_, str>> {
    if name.is_empty() || name.contains('\0') {
        return None;
    }
    let mut parts = name.split('=');
    let mut decoded = Cow::Borrowed(parts.next()?);
    for part in parts {
        let (character, rest) =
            if let Some(rest) = part.strip_prefix("2C") { (',', rest) } else { ('=', part.strip_prefix("3D")?) };
        let decoded = decoded.to_mut();
        decoded.push(character);
        decoded.push_str(rest);
    }
    Some(decoded)
}

/// Printable ASCII without the comma, which has ended it already.
fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An extension that need not be understood: a letter, `=`, and something. None is known; `m` must be understood.
fn is_extension(attribute: &str) -> bool {
    let mut characters = attribute.chars();
    let is_letter = characters.next().is_some_and(|c| c.is_ascii_alphabetic() && c != 'm');
    is_letter && characters.next() == Some('=') && characters.next().is_some()
}
