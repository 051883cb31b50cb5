//! The addresses of `--bind`.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use getopts::Matches;

use super::UsageError;
use crate::config::{Bind, DEFAULT_BIND};
use crate::unix_addr::UnixAddr;

/// Returns every `--bind` in the order given, and every address once.
pub(super) fn binds(matches: &Matches) -> Result<(Vec<Bind>, Vec<UnixAddr>), UsageError> {
    let mut names = matches.opt_strs("bind");
    if names.is_empty() {
        names.push(DEFAULT_BIND.into());
    }
    let (mut binds, mut unix): (Vec<Bind>, Vec<UnixAddr>) = (Vec::new(), Vec::new());
    for name in names {
        if let Some(parsed) = UnixAddr::parse(&name) {
            let addr = parsed.map_err(|why| UsageError(format!("--bind '{name}': {why}")))?;
            if !unix.contains(&addr) {
                unix.push(addr);
            }
            continue;
        }
        let mut addresses = Vec::new();
        for address in resolve(&name)?.map(canonical) {
            let earlier = binds.iter().flat_map(|bind| &bind.addresses).chain(&addresses);
            if !earlier.into_iter().any(|known| *known == address) {
                addresses.push(address);
            }
        }
        if !addresses.is_empty() {
            binds.push(Bind { name, addresses });
        }
    }
    Ok((binds, unix))
}

/// Returns the IPv4 address that an IPv6 address maps, because our IPv6 sockets are IPv6 only.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // The scope of a link-local address stays.
        IpAddr::V6(_) => address,
    }
}

/// Refuses a wildcard beside an address that it covers: the second of the two would fail as if another
/// program used the port.
pub(super) fn refuse_covered(binds: &[Bind]) -> Result<(), UsageError> {
    let all = || binds.iter().flat_map(|bind| bind.addresses.iter().map(move |at| (bind, at.ip())));
    for (wide, wildcard) in all().filter(|(_, ip)| ip.is_unspecified()) {
        let covered = |(narrow, ip): &(&Bind, IpAddr)| {
            *narrow != wide && ip.is_ipv4() == wildcard.is_ipv4() && !ip.is_unspecified()
        };
        if let Some((narrow, ip)) = all().find(covered) {
            return Err(UsageError(format!(
                "--bind {} and --bind {} exclude each other, because {wildcard} covers {ip}",
                wide.name, narrow.name
            )));
        }
    }
    Ok(())
}

fn resolve(name: &str) -> Result<impl Iterator<Item = SocketAddr>, UsageError> {
    let refused = |why: String| UsageError(format!("--bind '{name}': {why}"));
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let mut addresses = (bare, 0)
        .to_socket_addrs()
        .map_err(|error| refused(format!("not an address without a port ({error})")))?
        .peekable();
    match addresses.peek() {
        Some(_) => Ok(addresses),
        None => Err(refused("it has no address".into())),
    }
}
