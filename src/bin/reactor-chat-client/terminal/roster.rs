//! The roster: the members of the room as far as the terminal knows them, for completion and for
//! the host's warning.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::keys::locked;
use crate::sanitize::visible;
use reactor_chat::protocol::members::MemberList;
use reactor_chat::protocol::name::fold;
use reactor_chat::protocol::stream::Code;

/// The least time between two queries. Notices about a crowd name nobody, and a crowd that queries
/// all at once would be a burden.
const PAUSE: Duration = Duration::from_secs(60);

/// The most names that are kept. A server may make up new ones for ever.
const MOST: usize = 10_000;

/// The known members.
pub(super) struct Roster {
    names: Arc<Mutex<BTreeSet<String>>>,
    me: Box<str>,
    is_host: bool,
    /// True if the list of members should be requested.
    is_curious: bool,
    asked_at: Option<Instant>,
    /// Changes since the last query, until its answer comes: the answer may be older than notices
    /// that came before it.
    since: Option<Since>,
}

#[derive(Default)]
struct Since {
    gone: BTreeSet<String>,
    has_new_host: bool,
}

impl Roster {
    /// Starts with no other members.
    pub(super) fn new(me: &str, is_host: bool) -> Self {
        Self {
            names: Arc::new(Mutex::new(BTreeSet::new())),
            me: fold(me),
            is_host,
            is_curious: true,
            asked_at: None,
            since: None,
        }
    }

    /// Returns the shared set of the other members' names.
    pub(super) fn names(&self) -> Arc<Mutex<BTreeSet<String>>> {
        Arc::clone(&self.names)
    }

    /// Returns true if leaving may close the room for others. `knows_others` is true if every other
    /// member is known by name.
    pub(super) fn may_be_hosted_by_us(&self, knows_others: bool) -> bool {
        self.is_host && !(knows_others && locked(&self.names).is_empty())
    }

    /// Adds the sender of a message.
    pub(super) fn note_speaker(&self, name: &str) {
        if fold(name) != self.me {
            add(&mut locked(&self.names), name);
        }
    }

    /// Handles a notice with this code about this member. An empty name stands for several members.
    pub(super) fn note(&mut self, code: u8, name: &str) {
        match Code::from_byte(code) {
            Some(Code::Joined | Code::Left | Code::TimedOut) if name.is_empty() => {
                self.is_curious = true;
            }
            Some(Code::Joined) => {
                if let Some(since) = &mut self.since {
                    since.gone.remove(name);
                }
                self.note_speaker(name);
            }
            Some(Code::Left | Code::TimedOut | Code::Kicked) => {
                locked(&self.names).remove(name);
                if let Some(since) = &mut self.since {
                    add(&mut since.gone, name);
                }
            }
            Some(Code::NewHost) => {
                self.is_host = fold(name) == self.me;
                if let Some(since) = &mut self.since {
                    since.has_new_host = true;
                }
            }
            _ => {}
        }
    }

    /// Returns true if the list of members should be requested now.
    pub(super) fn take_question(&mut self, now: Instant) -> bool {
        let is_due = self.asked_at.is_none_or(|at| at + PAUSE <= now);
        let asks = self.is_curious && is_due;
        if asks {
            (self.is_curious, self.asked_at) = (false, Some(now));
            self.since = Some(Since::default());
        }
        asks
    }

    /// Resets the state for a new membership.
    pub(super) fn forget(&mut self, is_host: bool) {
        (self.is_host, self.is_curious, self.asked_at) = (is_host, true, None);
    }

    /// Updates the names from a list of members. A list that was cut removes nobody.
    pub(super) fn learn(&mut self, list: &MemberList<'_>) {
        let since = self.since.take().unwrap_or_default();
        if let Some(host) = list.host.filter(|_| !since.has_new_host) {
            self.is_host = fold(host) == self.me;
        }
        let mut names = locked(&self.names);
        if list.more == 0 {
            names.clear();
        }
        for name in &list.names {
            let shown = visible(name);
            if fold(name) != self.me && !since.gone.contains(&shown) {
                add(&mut names, &shown);
            }
        }
    }
}

fn add(names: &mut BTreeSet<String>, name: &str) {
    if names.len() < MOST {
        names.insert(name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor_chat::protocol::members::parse_members;

    fn known(roster: &Roster) -> Vec<String> {
        locked(&roster.names).iter().cloned().collect()
    }

    #[test]
    fn roster_follows_notices() {
        let mut roster = Roster::new("Ann", true);
        assert!(!roster.may_be_hosted_by_us(true));
        roster.note(Code::Joined as u8, "ann");
        roster.note(Code::Joined as u8, "bob");
        roster.note_speaker("cy");
        assert_eq!(known(&roster), ["bob", "cy"]);
        assert!(roster.may_be_hosted_by_us(true));
        roster.note(Code::NewHost as u8, "bob");
        assert!(!roster.may_be_hosted_by_us(true));
        roster.note(Code::Left as u8, "bob");
        roster.note(Code::Kicked as u8, "cy");
        assert_eq!(known(&roster), Vec::<String>::new());
    }

    #[test]
    fn number_of_names_is_bounded() {
        let mut roster = Roster::new("ann", false);
        (0..MOST + 5).for_each(|name| roster.note_speaker(&name.to_string()));
        assert_eq!(known(&roster).len(), MOST);
        roster.note(Code::Left as u8, "7");
        roster.note_speaker("new");
        assert!(known(&roster).contains(&"new".into()));
    }

    fn learn(roster: &mut Roster, text: &str) {
        roster.learn(&parse_members(text).expect("a list"));
    }

    #[test]
    fn late_answer_undoes_no_change() {
        let (mut roster, now) = (Roster::new("bob", false), Instant::now());
        assert!(roster.take_question(now));
        roster.note(Code::NewHost as u8, "bob");
        roster.note(Code::Left as u8, "ann");
        learn(&mut roster, "ann (host), bob");
        assert_eq!(known(&roster), Vec::<String>::new());
        assert!(roster.is_host);
    }

    #[test]
    fn member_list_replaces_names() {
        let (mut roster, now) = (Roster::new("bob", false), Instant::now());
        assert!(roster.take_question(now) && !roster.take_question(now));
        learn(&mut roster, "ann (host), bob, cy");
        assert_eq!(known(&roster), ["ann", "cy"]);
        learn(&mut roster, "ann (host) (unencrypted), bob, cy (unencrypted)");
        assert_eq!(known(&roster), ["ann", "cy"]);
        learn(&mut roster, "日本, bob（ホスト）");
        assert_eq!(known(&roster), ["日本"]);
        assert!(roster.may_be_hosted_by_us(true));
        roster.note(Code::Joined as u8, "");
        assert!(!roster.take_question(now) && roster.take_question(now + PAUSE));
    }

    #[test]
    fn cut_list_removes_nobody() {
        let mut roster = Roster::new("bob", false);
        roster.note_speaker("ann");
        learn(&mut roster, "dan (host), eve and 3 more");
        assert_eq!(known(&roster), ["ann", "dan", "eve"]);
        learn(&mut roster, "dan, eve and 4 more");
        assert!(!roster.is_host);
    }

    #[test]
    fn unknown_guests_count_as_guests() {
        let roster = Roster::new("ann", true);
        assert!(roster.may_be_hosted_by_us(false) && !roster.may_be_hosted_by_us(true));
        assert!(!Roster::new("ann", false).may_be_hosted_by_us(false));
    }
}
