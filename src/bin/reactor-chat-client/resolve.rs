//! Resolves host names.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, SockType, getaddrinfo};

use crate::address::ServerAddress;
use crate::explain;
use crate::failure::Failure;
use crate::request_error::ResolveError;
use crate::stdout::notify;

/// Seconds between the attempts at the start, after temporary failures.
const PAUSES: [u64; 4] = [1, 2, 4, 8];

/// No attempt starts later than this, because one alone may take the resolver many seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 16;

/// Returns the addresses of the server for requests, in the order of the system (RFC 6724).
pub(crate) fn resolve(server: &ServerAddress) -> Result<Vec<SocketAddr>, ResolveError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(&server.host), None, Some(hints))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for mut address in found.flatten().map(|found| found.sockaddr) {
        address.set_port(server.tcp_port);
        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// Returns the addresses like [`resolve`], and tries again for a while after a temporary failure.
pub(crate) fn resolve_patiently(server: &ServerAddress) -> Result<Vec<SocketAddr>, Failure> {
    let start = Instant::now();
    let mut pauses = PAUSES.into_iter();
    loop {
        let why = match resolve(server) {
            Ok(addresses) => return Ok(addresses),
            Err(why) => why,
        };
        let pause = pauses.next().map(Duration::from_secs);
        let pause = pause.filter(|pause| start.elapsed() + *pause < PATIENCE);
        match pause.filter(|_| why.is_temporary) {
            Some(pause) => {
                notify(&explain::repeated_lookup(server, &why.error));
                thread::sleep(pause);
            }
            None => return Err(explain::failed_lookup(server, &why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_hosts_need_no_resolver() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")] {
            let server = ServerAddress::of_options(Some(host), Some("7"), None).expect("a server");
            let expected: SocketAddr = address.parse().expect("an address");
            assert_eq!(resolve(&server).expect("addresses"), [expected]);
        }
    }
}
