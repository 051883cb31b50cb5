//! The payload of the completion of a create, join or resume request.

use crate::credential::Credential;
use reactor_chat::protocol::reply;
use reactor_chat::protocol::stream::Completion;
use reactor_chat::protocol::{Delivery, Form, SealTerms};

/// The delivery that the server granted. Another server may know text delivery only, whatever we
/// requested.
pub(crate) enum Terms {
    Plain { form: Form, is_of_this_project: bool },
    Stream(Completion),
}

/// A member's token, its delivery, and the terms of its seal if its datagrams are sealed.
///
/// Unlike [`reply::Admission`], this has tokens of any length, which other servers have.
pub(crate) struct Admission {
    pub(crate) token: Credential,
    pub(crate) terms: Terms,
    pub(crate) seal: Option<SealTerms>,
}

impl Admission {
    /// Parses the payload of the reply to a request for this delivery. A token without a stream
    /// means text delivery if we requested stream delivery.
    pub(crate) fn parse(payload: &[u8], delivery: Delivery) -> Option<Self> {
        let form = match delivery {
            Delivery::Stream => Form::Text,
            Delivery::Plain(form) => form,
        };
        match (delivery, reply::Admission::parse(payload)) {
            (Delivery::Stream, Some(reply::Admission::Stream(stream))) => {
                let (token, seal) = (stream.token.into(), stream.seal);
                Some(Self { token, terms: Terms::Stream(stream), seal })
            }
            (_, Some(reply::Admission::Plain { token, seal })) => {
                let terms = Terms::Plain { form, is_of_this_project: true };
                Some(Self { token: token.into(), terms, seal })
            }
            _ => Self::of_other_server(payload, form),
        }
    }

    fn of_other_server(payload: &[u8], form: Form) -> Option<Self> {
        // In some dialects a JSON object holds the token. As a token it would only fail later.
        let is_object = serde_json::from_slice::<serde_json::Map<_, _>>(payload).is_ok();
        let token = Credential::from_wire(payload).filter(|_| !is_object)?;
        let is_of_this_project = token.is_of_this_project();
        Some(Self { token, terms: Terms::Plain { form, is_of_this_project }, seal: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor_chat::protocol::Token;

    fn form(payload: &[u8], delivery: Delivery) -> Form {
        match Admission::parse(payload, delivery) {
            Some(Admission { terms: Terms::Plain { form, .. }, .. }) => form,
            _ => panic!("{delivery:?}"),
        }
    }

    const DELIVERIES: [(Delivery, Form); 3] = [
        (Delivery::Stream, Form::Text),
        (Delivery::Plain(Form::Named), Form::Named),
        (Delivery::Plain(Form::Text), Form::Text),
    ];

    #[test]
    fn s1_token_alone_means_text_delivery() {
        let token = [b'7'; Token::WIRE_SIZE];
        for (delivery, granted) in DELIVERIES {
            assert_eq!(form(&token, delivery), granted);
        }
        assert!(Admission::parse(b"{}", Delivery::Stream).is_none());
    }

    #[test]
    fn e5_object_without_next_is_plain() {
        let (token, up, down) = ("7".repeat(32), "01".repeat(32), "02".repeat(32));
        let seal = format!(r#"{{"id":9,"cipher":"aes-128-gcm","up":"{up}","down":"{down}"}}"#);
        let payload = format!(r#"{{"token":"{token}","seal":{seal}}}"#);
        for (delivery, granted) in DELIVERIES {
            assert_eq!(form(payload.as_bytes(), delivery), granted);
            let admission = Admission::parse(payload.as_bytes(), delivery).expect("an admission");
            assert_eq!(admission.token.as_bytes(), token.as_bytes());
            assert_eq!(admission.seal.map(|terms| terms.id), Some(9));
        }
    }
}
