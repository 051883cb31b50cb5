//! QUIC in the loop: datagrams in, requests of browsers, and packets out.
//!
//! It has no step of its own. Datagrams come with those of members; handshakes, requests and messages are
//! handled beside the connections; packets go out with the flush.

use bytes::Bytes;

use super::Context;
use super::connections::Connections;
use super::grant::{Answer, Attempt, Grant};
use super::quic_sessions::QuicSessions;
use crate::address::{Origin, Peer};
use crate::authority::Authority;
use crate::ids::QuicId;
use crate::metrics::Counter;
use crate::protocol::request::{ObjectRequest, Operation};
use crate::protocol::{Status, reply};
use crate::quic::Event;
use crate::quic::h3::SessionRequest;
use crate::web::Refusal;

/// Events handled in a portion. They take less than a millisecond.
const EVENTS: usize = 64;

/// Messages of packets sent in a portion. They take less than a millisecond.
const TRANSMITS: usize = 64;

/// Limit for the bytes of a list of rooms, which is one unit. A client asks for the next part.
const MAX_LIST: usize = 16 * 1024;

/// The path of sessions.
const SESSION_PATH: &str = "/chat";

/// Statuses of HTTP for a request for a session.
const OK: u16 = 200;
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const MISDIRECTED: u16 = 421;

/// Answers handshakes, and handles a portion of the events.
pub(super) fn serve(context: &mut Context, connections: &mut Connections) {
    let Context { quic, alerts, now, .. } = context;
    let QuicSessions { machine: Some(machine), max, .. } = quic else { return };
    machine.answer_greetings(*now, |peer, counts| match connections.admits(peer, counts, *max) {
        Ok(()) => true,
        Err(limit) => {
            alerts.note(limit, peer, 1, *now);
            false
        }
    });
    for _ in 0..EVENTS {
        let now = context.now;
        let event = context.quic.machine.as_mut().and_then(|machine| machine.poll_event(now));
        let Some(event) = event else { return };
        handle(event, context, connections);
    }
}

fn handle(event: Event, context: &mut Context, connections: &mut Connections) {
    let Context { chat, quic, metrics, now, .. } = context;
    match event {
        Event::Session { id, request } => answer_session(id, &request, context),
        Event::Request { id, stream, content } => {
            answer((id, stream), content, false, context, connections);
        }
        Event::Message { member, content } => {
            metrics.count(chat.handle_carried(member, &content, *now).counter());
        }
        Event::Alive(member) => chat.note_alive(member, *now),
        Event::Space(member) => {
            chat.resume_member(member);
            quic.has_space = true;
        }
        Event::Ended { member, was_path: true } => chat.handle_path_end(member, *now),
        Event::Ended { member, was_path: false } => chat.handle_disconnect(member, *now),
    }
}

/// Acts on deadlines: those of connections, and the ends of delays.
pub(super) fn expire(context: &mut Context, connections: &mut Connections, budget: usize) {
    let Context { quic, tls, now, .. } = context;
    quic.update_certificate(tls);
    if let Some(machine) = &mut quic.machine {
        machine.handle_timeout(*now, budget);
    }
    for _ in 0..budget {
        let now = context.now;
        let Some(due) = context.quic.delayed.first_entry().filter(|due| due.key().0 <= now) else {
            return;
        };
        let ((_, id, stream), content) = due.remove_entry();
        answer((id, stream), content, true, context, connections);
    }
}

/// Sends a portion of the packets. Returns true if there are more.
pub(super) fn flush(context: &mut Context) -> bool {
    let Context { quic, datagrams, metrics, now, .. } = context;
    let QuicSessions { machine: Some(machine), packets, .. } = quic else { return false };
    while let Some((origin, reply)) = machine.poll_reply() {
        let is_sent = datagrams.send_unproved(&origin, &reply);
        metrics.add(Counter::QuicUnsent, u64::from(!is_sent));
    }
    let max = datagrams.max_packets();
    for _ in 0..TRANSMITS {
        let has_space = |socket| datagrams.has_packet_space(socket);
        let transmit = machine.poll_transmit(max, packets, has_space, *now);
        let Some((origin, segment)) = transmit else { break };
        datagrams.send_packets(&origin, packets, segment);
    }
    let report = datagrams.flush_packets();
    metrics.add(Counter::QuicPackets, report.sent as u64);
    metrics.add(Counter::QuicUnsent, report.dropped as u64);
    machine.has_packets()
}

fn answer_session(id: QuicId, request: &SessionRequest, context: &mut Context) {
    let status = check_session(request, context);
    log::debug!("session at {}{}: status {status}", request.authority, request.path);
    if let Some(machine) = &mut context.quic.machine {
        machine.answer_session(id, status);
    }
}

/// Returns the status for a request for a session (H5). Its page may come from any of our TCP ports; without pages
/// of ours, from nowhere.
fn check_session(request: &SessionRequest, context: &Context) -> u16 {
    let Context { quic, web, tls, .. } = context;
    let path = request.path.split('?').next().unwrap_or_default();
    let (origin, is_known) = (request.origin.as_deref(), path == SESSION_PATH);
    let Some(authority) = Authority::parse(&request.authority) else { return MISDIRECTED };
    let check = |port| match web.site() {
        Some(site) => {
            let is_certified = |name: &str| tls.is_certified(name);
            site.hosts().check_session(&authority, origin, port, is_certified)
        }
        None => origin.map_or(Ok(()), |_| Err(Refusal::Origin)),
    };
    let checked = quic.tcp_ports.iter().map(|port| check(*port));
    let checked = checked.reduce(Result::or).unwrap_or(Err(Refusal::Origin));
    match checked {
        Err(Refusal::Host) => MISDIRECTED,
        Err(Refusal::Origin) => FORBIDDEN,
        Ok(()) if is_known => OK,
        Ok(()) => NOT_FOUND,
    }
}

/// Answers the request of a stream, unless the chat delays it.
fn answer(
    (id, stream): (QuicId, u64),
    content: Bytes,
    was_delayed: bool,
    context: &mut Context,
    connections: &mut Connections,
) {
    let Some(machine) = context.quic.machine.as_ref().filter(|quic| quic.is_asked(id, stream))
    else {
        return;
    };
    let Some(origin) = machine.first_origin(id) else { return };
    let has_member = machine.has_member(id);
    match execute(&content, origin, has_member, was_delayed, context) {
        Answer::Later(at) => drop(context.quic.delayed.insert((at, id, stream), content)),
        Answer::Refused(status) => send((id, stream), status, Grant::default(), context),
        Answer::Granted(grant) => {
            if let Some(member) = grant.member.or(grant.carried) {
                connections.lose_path(member, context);
            }
            send((id, stream), Status::Success, grant, context);
        }
    }
}

/// Executes a request. A session has one member (H8), so another one is refused.
fn execute(
    content: &[u8],
    origin: Origin,
    has_member: bool,
    was_delayed: bool,
    context: &mut Context,
) -> Answer {
    let object = ObjectRequest::parse(content).and_then(|object| {
        let is_list = object.frame().operation == Operation::List as u8;
        if has_member && !is_list { Err(Status::Malformed) } else { Ok(object) }
    });
    let object = match object {
        Ok(object) => object,
        Err(status) => {
            context.metrics.count_reply(status);
            log::debug!("{}: no request: {status}", origin.remote);
            return Answer::Refused(status);
        }
    };
    let attempt = Attempt {
        frame: &object.frame(),
        peer: Peer::Remote(origin),
        is_private: true,
        is_carried: false,
        is_quic: true,
        was_delayed,
        max_list: MAX_LIST,
    };
    attempt.answer(context)
}

/// Sends the reply to a request, and opens the path of the member that it has let in.
fn send((id, stream): (QuicId, u64), status: Status, grant: Grant, context: &mut Context) {
    let Some(machine) = &mut context.quic.machine else { return };
    let object = reply::to_object(status, grant.payload.as_deref());
    let is_carried = grant.carried.is_some();
    match grant.member.or(grant.carried) {
        Some(member) => {
            let place = (id, stream);
            machine.reply_to_member(place, &object, (member, is_carried), context.now);
        }
        None => machine.reply(id, stream, &object, context.now),
    }
}
