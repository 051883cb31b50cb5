//! The server binary: parses the options, runs a [`Reactor`], and returns an exit status.

use std::env;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use log::{Level, LevelFilter};
use reactor_chat::config::Config;
use reactor_chat::options::{self, Invocation};
use reactor_chat::output::{self, Output};
use reactor_chat::protocol::{DEFAULT_TCP_PORT, DEFAULT_UDP_PORT};
use reactor_chat::reactor::{self, Exit, Findings, Reactor};
use reactor_chat::service::ServiceManager;
use reactor_chat::usage::fill;

/// The command line, or an address in it, is wrong.
const USAGE: u8 = 2;
/// The server can't start, or the poll failed.
const FAILURE: u8 = 1;
/// Shells add this to the number of the signal that ended a program.
const SIGNAL_BASE: i32 = 128;

/// The longest wait at the end for unwritten lines. Together with [`DRAIN`] it stays below 2 s.
///
/// [`DRAIN`]: reactor_chat::config::DRAIN
const LAST_LINES: Duration = Duration::from_millis(100);

/// Columns of the text of a check. Further ones are for its indent, and some terminals begin a new line behind
/// the eightieth character.
const TEXT_WIDTH: usize = 75;

fn main() -> ExitCode {
    match output::ignore_signals_of_writes().and_then(|()| open_outputs()) {
        Ok((stdout, stderr)) => start(&stdout, &stderr),
        Err(error) => {
            // Without our own descriptors this is the only way to report it.
            let _ = writeln!(io::stderr(), "reactor-chat: cannot open stdout and stderr: {error}");
            ExitCode::from(FAILURE)
        }
    }
}

fn open_outputs() -> io::Result<(Output, Output)> {
    Ok((Output::stdout()?, Output::stderr()?))
}

fn start(stdout: &Output, stderr: &Output) -> ExitCode {
    let status = match options::parse(env::args_os().skip(1)) {
        Err(mistake) => complain(stderr, &mistake, USAGE),
        Ok(Invocation::Print(text)) => print(stdout, stderr, &text),
        Ok(Invocation::Check(config)) => check(*config, stdout, stderr),
        Ok(Invocation::Serve { config, log_level }) => {
            start_log(stderr, log_level);
            serve(*config, stdout, stderr)
        }
    };
    stdout.finish(Some(LAST_LINES));
    stderr.finish(Some(LAST_LINES));
    status
}

/// Starts the log. In the journal its lines have a priority, and the journal adds the time.
fn start_log(stderr: &Output, level: LevelFilter) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level).format_target(false);
    // It logs what peers send, and so messages and passwords.
    builder.filter_module("tungstenite", LevelFilter::Warn).parse_default_env();
    if stderr.is_journal() {
        builder.format(|line, record| {
            writeln!(line, "{}{}", output::priority(record.level()), record.args())
        });
    }
    builder.target(env_logger::Target::Pipe(Box::new(stderr.clone()))).init();
}

fn check(config: Config, stdout: &Output, stderr: &Output) -> ExitCode {
    let findings = match ServiceManager::from_environment() {
        Ok(manager) => reactor::check(config, manager.sockets),
        Err(error) => return complain(stderr, &error, USAGE),
    };
    match (print(stdout, stderr, &report(&findings)), findings.mistakes()) {
        (ExitCode::SUCCESS, 1..) => ExitCode::from(USAGE),
        (printed, _) => printed,
    }
}

/// Returns the findings of a check as text for a terminal of 80 columns.
fn report(findings: &Findings) -> String {
    let mut text = String::new();
    for (heading, lines) in &findings.parts {
        text += &format!("{heading}:\n");
        text.extend(lines.iter().map(|(level, line)| indent(*level, line)));
    }
    text + &match findings.mistakes() {
        0 => "No mistake was found.\n".into(),
        1 => "1 mistake was found.\n".into(),
        count => format!("{count} mistakes were found.\n"),
    }
}

/// Returns a line below a heading. If it is too long for the terminal, it goes on below itself.
fn indent(level: Level, line: &str) -> String {
    let mark = match level {
        Level::Error => "MISTAKE: ",
        Level::Warn => "warning: ",
        _ => "",
    };
    format!("  {}\n", fill(&format!("{mark}{line}"), TEXT_WIDTH).join("\n    "))
}

fn serve(config: Config, stdout: &Output, stderr: &Output) -> ExitCode {
    let manager = match ServiceManager::from_environment() {
        Ok(manager) => manager,
        Err(error) => return complain(stderr, &error, USAGE),
    };
    let mut reactor = match Reactor::bind(config, manager) {
        Ok(reactor) => reactor,
        Err(error) if error.is_mistake() => return complain(stderr, &error, USAGE),
        Err(error) => return complain(stderr, &error, FAILURE),
    };
    let ready = [stdout, stderr].into_iter().try_for_each(|output| reactor.watch(output.clone()));
    match ready.and_then(|()| announce(&reactor, stdout)).and_then(|()| reactor.run()) {
        Ok(Exit::Drained) => ExitCode::SUCCESS,
        Ok(Exit::Forced(signal)) => {
            ExitCode::from(u8::try_from(SIGNAL_BASE + signal).unwrap_or(FAILURE))
        }
        Err(error) => complain(stderr, &error, FAILURE),
    }
}

/// Prints one line for each address, so that a script learns the real ports and the fingerprint. The URLs of
/// the pages follow.
fn announce(reactor: &Reactor, stdout: &Output) -> io::Result<()> {
    let addresses = reactor.addresses()?;
    let key = reactor.fingerprint().map(|key| format!(" tls {key}")).unwrap_or_default();
    for (tcp, udp) in &addresses {
        print_address(stdout, &format!("listening on tcp {tcp} udp {udp}{key}"));
    }
    for addr in reactor.unix_addresses() {
        print_address(stdout, &format!("listening on unix {addr}"));
    }
    for (tcp, _) in &addresses {
        if let Some(scheme) = reactor.scheme() {
            print_address(stdout, &format!("web page {scheme}://{}/", reachable(*tcp)));
        }
    }
    // A server with Unix sockets alone is not meant for others.
    if !addresses.is_empty() && addresses.iter().all(|(tcp, _)| tcp.ip().is_loopback()) {
        log::info!("only this machine can connect; start with --bind 0.0.0.0 for others");
    }
    let unix = reactor.unix_addresses().next().map(|addr| format!(" --host unix:{addr}"));
    let options = addresses.first().map(options_of_client).or(unix).unwrap_or_default();
    log::info!(
        "to chat: reactor-chat-client{options} create ROOM NAME; others: reactor-chat-client{options} join ROOM NAME"
    );
    Ok(())
}

/// Prints a line about an address. If stdout is closed, the log has the line instead.
fn print_address(stdout: &Output, line: &str) {
    stdout.print(&format!("{line}\n"));
    if let Some(error) = stdout.take_failure() {
        log::warn!("{line} (stdout does not take this line: {error})");
    }
}

/// Returns the address under which a client on this machine reaches a listener.
fn reachable(mut listener: SocketAddr) -> SocketAddr {
    match listener.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => listener.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => listener.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listener
}

/// Returns the options that a client on this machine needs for this address.
fn options_of_client((tcp, udp): &(SocketAddr, SocketAddr)) -> String {
    let host = match tcp.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST | Ipv4Addr::UNSPECIFIED) => String::new(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => " --host ::1".into(),
        ip => format!(" --host {ip}"),
    };
    match (tcp.port(), udp.port()) {
        (DEFAULT_TCP_PORT, DEFAULT_UDP_PORT) => host,
        (tcp, udp) => format!("{host} --tcp-port {tcp} --udp-port {udp}"),
    }
}

/// Prints a text, and waits for its reader as long as needed.
fn print(stdout: &Output, stderr: &Output, text: &str) -> ExitCode {
    stdout.print(text);
    stdout.finish(None);
    match stdout.take_failure() {
        None => ExitCode::SUCCESS,
        // As in `| head`: the reader has read enough.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Some(error) => complain(stderr, format_args!("stdout: {error}"), FAILURE),
    }
}

fn complain(stderr: &Output, why: impl Display, status: u8) -> ExitCode {
    let priority = if stderr.is_journal() { output::priority(Level::Error) } else { "" };
    stderr.print(&format!("{priority}reactor-chat: {why}\n"));
    ExitCode::from(status)
}
