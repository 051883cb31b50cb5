//! A build that takes no sockets from a service manager.

use crate::support::supervisor::Supervisor;

#[test]
fn u5_lean_build_takes_no_sockets() {
    let (status, line) = Supervisor::at([127, 0, 0, 1]).refusal(&[]);
    assert_eq!(status, Some(2));
    assert!(line.ends_with("(cargo feature systemd)"), "{line}");
}
