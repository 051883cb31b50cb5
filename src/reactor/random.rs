//! Random bits for tokens, secrets and challenges.

/// Returns bits that nobody can guess. Without randomness there are none, and so no new member.
pub(super) fn draw<const N: usize>() -> Option<[u8; N]> {
    let mut bits = [0; N];
    match getrandom::fill(&mut bits) {
        Ok(()) => Some(bits),
        Err(error) => {
            log::error!("no randomness for a secret: {error}");
            None
        }
    }
}
