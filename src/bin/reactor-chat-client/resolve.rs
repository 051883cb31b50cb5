//! Host names to addresses.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};

use crate::address::ServerAddress;
use crate::explain;
use crate::failure::Failure;
use crate::stdout::tell;

/// Seconds between the tries at the start, while the resolver fails for now.
const PAUSES: [u64; 4] = [1, 2, 4, 8];

/// No new try begins after this: one try may take the resolver many seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Addresses of a host that are tried at most.
const MAX_ADDRESSES: usize = 16;

/// A reason why a name has no address.
#[derive(Debug)]
pub(crate) struct ResolveError {
    /// The name may be right: the resolver could not tell (EAI_AGAIN and the like).
    pub(crate) is_for_now: bool,
    pub(crate) error: io::Error,
}

impl From<LookupError> for ResolveError {
    fn from(error: LookupError) -> Self {
        use LookupErrorKind::{Again, Fail, Memory, System};
        let is_for_now = matches!(error.kind(), Again | Fail | Memory | System);
        Self { is_for_now, error: error.into() }
    }
}

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
    let mut suspension = PAUSES.into_iter();
    loop {
        let why = match resolve(server) {
            Ok(addresses) => return Ok(addresses),
            Err(why) => why,
        };
        let pause = suspension.next().map(Duration::from_secs);
        let pause = pause.filter(|pause| start.elapsed() + *pause < PATIENCE);
        match pause.filter(|_| why.is_for_now) {
            Some(pause) => {
                tell(&explain::of_lookup(server, &why.error));
                thread::sleep(pause);
            }
            None => return Err(explain::of_host(server, &why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_hosts_need_no_resolver() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:7"), ("::1", "[::1]:7")] {
            let server = ServerAddress { host: host.into(), tcp_port: 7, udp_port: 8 };
            let expected: SocketAddr = address.parse().expect("an address");
            assert_eq!(resolve(&server).expect("addresses"), [expected]);
        }
    }

    #[test]
    fn field_client_only_unknown_names_are_called_misspelt() {
        use libc::{EAI_AGAIN, EAI_FAIL, EAI_NODATA, EAI_NONAME, EAI_SYSTEM};
        let is_for_now = |code| ResolveError::from(LookupError::new(code)).is_for_now;
        assert_eq!([EAI_AGAIN, EAI_FAIL, EAI_SYSTEM].map(is_for_now), [true; 3]);
        assert_eq!([EAI_NONAME, EAI_NODATA].map(is_for_now), [false; 2]);
    }
}
