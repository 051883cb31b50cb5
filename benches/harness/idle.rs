//! Idle members: memory for each, and CPU time for all of them.
//!
//! Each is another client: a connection from an address of its own that is closed with the token, and
//! one datagram from there, which proves the address. Then the sockets are closed. The connection of a
//! carried member stays open, and what has come is read.

use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use reactor_chat::sys;

use super::carried_link::CarriedLink;
use super::control::{self, CREATE, JOIN};
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
    sys::raise_descriptor_limit()?;
    let mut links = fill(target, idle)?;
    let settling = match idle.service.delivery {
        Delivery::Text => settling,
        Delivery::Stream => settling * TAIL,
    };
    thread::sleep(settling);
    for link in &mut links {
        link.read(|_| ());
    }
    thread::sleep(settling);
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
/// Returns the ends of carried members.
fn fill(target: &Target, idle: &Idle) -> io::Result<Vec<CarriedLink>> {
    let threads = thread::available_parallelism()?.get().max(2);
    thread::scope(|scope| {
        let share = |first| {
            let mut rooms = (first..idle.rooms).step_by(threads);
            scope.spawn(move || {
                let mut links = Vec::new();
                rooms.try_for_each(|room| fill_room(target, idle, room, &mut links))?;
                Ok(links)
            })
        };
        let threads: Vec<_> = (0..threads).map(share).collect();
        let links = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        Ok(links.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    })
}

fn fill_room(
    target: &Target,
    idle: &Idle,
    room: usize,
    links: &mut Vec<CarriedLink>,
) -> io::Result<()> {
    for place in 0..idle.members {
        let client = room * idle.members + place;
        let (name, service) = (control::numbered_room(room), idle.service);
        links.extend(enter(target, &name, place, client, service)?);
    }
    Ok(())
}

/// Lets a member enter. Returns its end if it is carried.
fn enter(
    target: &Target,
    room: &str,
    place: usize,
    client: usize,
    service: Service,
) -> io::Result<Option<CarriedLink>> {
    let source = control::source_of(target.tcp, client);
    let mut control = target.open_control(source, service)?;
    let operation = if place == 0 { CREATE } else { JOIN };
    let name = format!("m{place:04}");
    let admission = control.enter(operation, room, &name, service)?;
    if service.is_carried() {
        return control.into_carried_link().map(Some);
    }
    let socket = UdpSocket::bind((control.local_ip(), 0))?;
    socket.send_to(&Envelope::new(room, &admission, service.path)?.wrap(b""), target.udp)?;
    Ok(None)
}
