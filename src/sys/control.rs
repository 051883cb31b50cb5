//! Control messages: local addresses (`IP_PKTINFO`, ip(7), and `IPV6_PKTINFO`, ipv6(7)), segments
//! (`UDP_SEGMENT` and `UDP_GRO`, udp(7)), and dropped datagrams (`SO_RXQ_OVFL`, socket(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::c_int;

use super::address::in_addr;

/// Space for control messages in both directions: at most a packet info, an overflow count and a segment
/// size, which take 40 bytes and twice 24.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer(pub(super) [u8; CONTROL_SIZE]);

pub(super) const CONTROL_SIZE: usize = 88;

/// The control messages of an arrival. The kernel sends each kind only if its option is set.
#[derive(Default)]
pub(super) struct Controls {
    pub(super) local: Option<IpAddr>,
    pub(super) overflow: Option<u32>,
    pub(super) segment: Option<u16>,
}

pub(super) fn read_controls(message: &libc::msghdr) -> Controls {
    let mut controls = Controls::default();
    // SAFETY: recvmmsg has filled in `message`, whose control buffer is aligned for a header and still
    // alive. The CMSG macros stay within `msg_controllen`, which the kernel has set.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macros return null or a header within the control buffer. The data has the type that
        // belongs to its level and type, and is read without assuming an alignment.
        unsafe {
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    controls.local = read_data::<libc::in_pktinfo>(header)
                        .map(|info| Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    controls.local = read_data::<libc::in6_pktinfo>(header)
                        .map(|info| Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    controls.overflow = read_data::<u32>(header)
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    controls.segment =
                        read_data::<c_int>(header).and_then(|size| u16::try_from(size).ok());
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    controls
}

/// Returns the data of a control message, unless the kernel has cut it.
///
/// # Safety
/// `header` must belong to a control message in a live buffer, of a type whose data is a `T`, and `T` must
/// be plain data.
unsafe fn read_data<T: Copy>(header: *const libc::cmsghdr) -> Option<T> {
    // SAFETY: CMSG_LEN only computes, the caller promises the rest, and the header's length is checked
    // before the data is read.
    unsafe {
        let size = libc::CMSG_LEN(size_of::<T>() as u32);
        let is_whole = (*header).cmsg_len >= size as _;
        is_whole.then(|| libc::CMSG_DATA(header).cast::<T>().read_unaligned())
    }
}

/// Writes the control messages for the local address and the segment size of a message.
pub(super) fn write_controls(
    message: &mut libc::msghdr,
    control: &mut ControlBuffer,
    local: Option<IpAddr>,
    segment: Option<u16>,
) {
    let mut used = 0;
    match local {
        Some(IpAddr::V4(ip)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr(ip),
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            used += write_control(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(ip)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: 0,
            };
            used += write_control(control, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        None => {}
    }
    if let Some(segment) = segment {
        used += write_control(control, used, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
    }
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = used as _;
}

/// Writes one control message to `control` at `start`, and returns its size.
fn write_control<T: Copy>(
    control: &mut ControlBuffer,
    start: usize,
    level: c_int,
    kind: c_int,
    data: T,
) -> usize {
    let size = size_of::<T>() as u32;
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
    let (space, length) = unsafe { (libc::CMSG_SPACE(size), libc::CMSG_LEN(size)) };
    let place = &mut control.0[start..start + space as usize];
    let header = place.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: `place` has CMSG_SPACE bytes, so a header with this data and its padding fits. The buffer
    // is aligned to 8 bytes and every CMSG_SPACE is a multiple of 8, so `place` is aligned for a header.
    unsafe {
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = length as _;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(data);
    }
    space as usize
}
