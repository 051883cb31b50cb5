//! The server: options to a [`Reactor`], and how it ends to an exit status.

use std::env;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use reactor_chat::config::Config;
use reactor_chat::options::{self, Invocation};
use reactor_chat::reactor::{Exit, Reactor};

/// The command line, or an address in it, is wrong.
const USAGE: u8 = 2;
/// It can't start, or the poll failed.
const FAILURE: u8 = 1;
/// What shells add to the number of the signal that ended a program.
const SIGNAL_BASE: i32 = 128;

fn main() -> ExitCode {
    match options::parse(env::args_os().skip(1)) {
        Err(mistake) => complain(&mistake.to_string(), USAGE),
        Ok(Invocation::Print(text)) => print(&text),
        Ok(Invocation::Serve { config, log_level }) => {
            env_logger::Builder::new()
                .filter_level(log_level)
                .format_target(false)
                .parse_default_env()
                .init();
            serve(*config)
        }
    }
}

fn serve(config: Config) -> ExitCode {
    let mut reactor = match Reactor::bind(config) {
        Ok(reactor) => reactor,
        Err(error) if error.is_foreign_address() => return complain(&error.to_string(), USAGE),
        Err(error) => return complain(&error.to_string(), FAILURE),
    };
    match announce(&reactor).and_then(|()| reactor.run()) {
        Ok(Exit::Drained) => ExitCode::SUCCESS,
        Ok(Exit::Forced(signal)) => {
            ExitCode::from(u8::try_from(SIGNAL_BASE + signal).unwrap_or(FAILURE))
        }
        Err(error) => complain(&error.to_string(), FAILURE),
    }
}

/// One line for each address, so that a script that waits for it knows the real ports.
fn announce(reactor: &Reactor) -> io::Result<()> {
    let addresses = reactor.addresses()?;
    let mut out = io::stdout().lock();
    for (tcp, udp) in &addresses {
        writeln!(out, "listening on tcp {tcp} udp {udp}")?;
    }
    out.flush()?;
    if addresses.iter().all(|(tcp, _)| tcp.ip().is_loopback()) {
        log::info!("only this machine can connect; start with --bind 0.0.0.0 for others");
    }
    let options = addresses.first().map(options_of_client).unwrap_or_default();
    log::info!("to chat: reactor-chat-client{options} create ROOM NAME, the others join ROOM NAME");
    Ok(())
}

/// What a client on this machine has to be told of the address.
fn options_of_client((tcp, udp): &(SocketAddr, SocketAddr)) -> String {
    let host = match tcp.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST | Ipv4Addr::UNSPECIFIED) => String::new(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => " --host ::1".into(),
        ip => format!(" --host {ip}"),
    };
    match (tcp.port(), udp.port()) {
        options::USUAL_PORTS => host,
        (tcp, udp) => format!("{host} --tcp-port {tcp} --udp-port {udp}"),
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
    }
}

fn complain(why: &str, status: u8) -> ExitCode {
    // A stderr that takes nothing leaves nobody to tell.
    let _ = writeln!(io::stderr(), "reactor-chat: {why}");
    ExitCode::from(status)
}
