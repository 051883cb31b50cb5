//! Idle members: memory for each, and CPU time for all of them.
//!
//! Each is another client: a connection from an address of its own that is closed with the token, and
//! one datagram from there, which proves the address. Then the sockets are closed.

use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use super::control::{self, CREATE, Control, JOIN};
use super::envelope::Envelope;
use super::scenario::{Delivery, Idle, Service};
use super::target::Target;

/// A stream takes longer to come to rest, by this factor: for 1.25 s after its last entry the server
/// sends tail probes to members that have not confirmed it, and nobody does here.
const TAIL: u32 = 3;

/// Resources that idle members take.
pub struct Quiet {
    pub members: usize,
    pub bytes_per_member: Option<f64>,
    pub cpu_percent: Option<f64>,
}

/// Fills the rooms and watches the server do nothing.
///
/// # Errors
/// If the server does not answer, or refuses.
pub fn measure(target: &Target, idle: &Idle, settling: Duration) -> io::Result<Quiet> {
    let members = idle.rooms * idle.members;
    let before = target.memory();
    fill(target, idle)?;
    thread::sleep(match idle.service.delivery {
        Delivery::Text => settling,
        Delivery::Stream => settling * TAIL,
    });
    let after = target.memory();
    let cpu_before = target.cpu_time();
    thread::sleep(Duration::from_secs_f64(idle.seconds));
    let cpu = cpu_before.and_then(|before| Some(target.cpu_time()? - before));
    let bytes = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    Ok(Quiet {
        members,
        bytes_per_member: bytes.map(|bytes| bytes as f64 / members as f64),
        cpu_percent: cpu.map(|cpu| 100.0 * cpu.as_secs_f64() / idle.seconds),
    })
}

/// Fills room by room, several at a time: in a room that fills at once, the notices of joins are merged.
fn fill(target: &Target, idle: &Idle) -> io::Result<()> {
    let threads = thread::available_parallelism()?.get().max(2);
    thread::scope(|scope| {
        let share = |first| {
            let mut rooms = (first..idle.rooms).step_by(threads);
            scope.spawn(move || rooms.try_for_each(|room| fill_room(target, idle, room)))
        };
        let threads: Vec<_> = (0..threads).map(share).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

fn fill_room(target: &Target, idle: &Idle, room: usize) -> io::Result<()> {
    (0..idle.members).try_for_each(|place| {
        let client = room * idle.members + place;
        enter(target, &control::numbered_room(room), place, client, idle.service)
    })
}

fn enter(
    target: &Target,
    room: &str,
    place: usize,
    client: usize,
    service: Service,
) -> io::Result<()> {
    let source = control::source_of(target.tcp, client);
    let mut control = Control::connect(target.tcp, source, service.needs_tls())?;
    let operation = if place == 0 { CREATE } else { JOIN };
    let name = format!("m{place:04}");
    let admission = control.enter(operation, room, &name, service)?;
    let socket = UdpSocket::bind((control.local_ip(), 0))?;
    socket.send_to(&Envelope::new(room, &admission, service.path)?.wrap(b""), target.udp)?;
    Ok(())
}
