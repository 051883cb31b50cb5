//! Who is in the room, as far as the terminal knows: for the tab key, and for a host's question.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::keys::locked;
use crate::protocol::name::fold;
use crate::protocol::stream::Code;

/// From one question to the next: notices of a crowd name nobody, and a crowd that asks all at once
/// would be a burden.
const PAUSE: Duration = Duration::from_secs(60);

/// An answer that takes longer was lost.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// So many names are known. A server may make up new ones for ever.
const MOST: usize = 10_000;

/// The mark of the host in the list of members, in both languages.
const HOST_MARKS: [&str; 2] = [" (host)", "（ホスト）"];

/// What is known.
pub(super) struct People {
    names: Arc<Mutex<BTreeSet<String>>>,
    me: Box<str>,
    is_host: bool,
    /// The list of members is to be asked for.
    is_curious: bool,
    asked_at: Option<Instant>,
    /// The answer is for us and not for the user.
    is_answer_ours: bool,
    /// What has happened since the question: its answer may come behind the notice of what happened
    /// after it.
    since: Since,
}

#[derive(Default)]
struct Since {
    gone: BTreeSet<String>,
    has_new_host: bool,
}

impl People {
    /// Nobody but us.
    pub(super) fn new(me: &str, is_host: bool) -> Self {
        Self {
            names: Arc::new(Mutex::new(BTreeSet::new())),
            me: fold(me),
            is_host,
            is_curious: true,
            asked_at: None,
            is_answer_ours: false,
            since: Since::default(),
        }
    }

    /// The names of the others, as they change.
    pub(super) fn names(&self) -> Arc<Mutex<BTreeSet<String>>> {
        Arc::clone(&self.names)
    }

    /// Whether the room closes for others when we leave.
    pub(super) fn are_hosted_by_us(&self) -> bool {
        self.is_host && !locked(&self.names).is_empty()
    }

    /// Somebody speaks.
    pub(super) fn note_speaker(&self, name: &str) {
        if fold(name) != self.me {
            add(&mut locked(&self.names), name);
        }
    }

    /// A notice with this code is about this member; an empty name stands for several.
    pub(super) fn note(&mut self, code: u8, name: &str) {
        match Code::from_byte(code) {
            Some(Code::Joined | Code::Left | Code::TimedOut) if name.is_empty() => {
                self.is_curious = true;
            }
            Some(Code::Joined) => {
                self.since.gone.remove(name);
                self.note_speaker(name);
            }
            Some(Code::Left | Code::TimedOut | Code::Kicked) => {
                locked(&self.names).remove(name);
                if self.is_answer_ours {
                    add(&mut self.since.gone, name);
                }
            }
            Some(Code::NewHost) => {
                self.is_host = fold(name) == self.me;
                self.since.has_new_host = self.is_answer_ours;
            }
            _ => {}
        }
    }

    /// Whether the list of members should be asked for now.
    pub(super) fn take_question(&mut self, now: Instant) -> bool {
        let is_due = self.asked_at.is_none_or(|at| at + PAUSE <= now);
        let asks = self.is_curious && is_due;
        if asks {
            (self.is_curious, self.asked_at, self.is_answer_ours) = (false, Some(now), true);
            self.since = Since::default();
        }
        asks
    }

    /// The membership is a new one.
    pub(super) fn forget(&mut self, is_host: bool) {
        (self.is_host, self.is_curious, self.asked_at) = (is_host, true, None);
    }

    /// Takes the answer to a command. `true`: it was to our question, and nobody else asked.
    pub(super) fn take_answer(&mut self, text: &str, now: Instant) -> bool {
        let Some(host_end) = HOST_MARKS.iter().find_map(|mark| text.find(mark)) else {
            return false;
        };
        let host = text[..host_end].rsplit(", ").next().unwrap_or_default();
        let host = host.rsplit('、').next().unwrap_or_default();
        let since = std::mem::take(&mut self.since);
        if !since.has_new_host {
            self.is_host = fold(host) == self.me;
        }
        self.learn(text, &since.gone);
        let is_in_time = self.asked_at.is_some_and(|at| now <= at + ANSWER_PATIENCE);
        std::mem::take(&mut self.is_answer_ours) && is_in_time
    }

    /// Learns the list, which is whole unless it counts the rest.
    fn learn(&self, text: &str, gone: &BTreeSet<String>) {
        let is_whole = !text.contains(" more") && !text.contains("、ほか");
        let mut names = locked(&self.names);
        if is_whole {
            names.clear();
        }
        for part in text.split('、').flat_map(|part| part.split(", ")) {
            let name = HOST_MARKS.iter().fold(part, |name, mark| name.trim_end_matches(mark));
            let is_count = !is_whole && (name.ends_with(" more") || name.starts_with("ほか"));
            if !is_count && fold(name) != self.me && !gone.contains(name) {
                add(&mut names, name);
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

    fn known(people: &People) -> Vec<String> {
        locked(&people.names).iter().cloned().collect()
    }

    #[test]
    fn names_come_and_go() {
        let mut people = People::new("Ann", true);
        assert!(!people.are_hosted_by_us());
        people.note(Code::Joined as u8, "ann");
        people.note(Code::Joined as u8, "bob");
        people.note_speaker("cy");
        assert_eq!(known(&people), ["bob", "cy"]);
        assert!(people.are_hosted_by_us());
        people.note(Code::NewHost as u8, "bob");
        assert!(!people.are_hosted_by_us());
        people.note(Code::Left as u8, "bob");
        people.note(Code::Kicked as u8, "cy");
        assert_eq!(known(&people), Vec::<String>::new());
    }

    #[test]
    fn who_makes_up_names_is_not_remembered_for_ever() {
        let mut people = People::new("ann", false);
        (0..MOST + 5).for_each(|name| people.note_speaker(&name.to_string()));
        assert_eq!(known(&people).len(), MOST);
        people.note(Code::Left as u8, "7");
        people.note_speaker("new");
        assert!(known(&people).contains(&"new".into()));
    }

    #[test]
    fn an_answer_does_not_undo_what_happened_after_it() {
        let (mut people, now) = (People::new("bob", false), Instant::now());
        assert!(people.take_question(now));
        people.note(Code::NewHost as u8, "bob");
        people.note(Code::Left as u8, "ann");
        assert!(people.take_answer("ann (host), bob", now));
        assert_eq!(known(&people), Vec::<String>::new());
        assert!(people.is_host);
    }

    #[test]
    fn the_list_of_members_tells_all_and_is_asked_for_at_leisure() {
        let (mut people, now) = (People::new("bob", false), Instant::now());
        assert!(people.take_question(now) && !people.take_question(now));
        assert!(!people.take_answer("/exit leaves", now));
        assert!(people.take_answer("ann (host), bob, cy", now));
        assert_eq!(known(&people), ["ann", "cy"]);
        // That one the user asked for.
        assert!(!people.take_answer("日本、bob（ホスト）", now));
        assert_eq!(known(&people), ["日本"]);
        assert!(people.are_hosted_by_us());
        people.note(Code::Joined as u8, "");
        assert!(!people.take_question(now) && people.take_question(now + PAUSE));
        assert!(!people.take_answer("ann (host)", now + PAUSE + ANSWER_PATIENCE * 2));
        assert!(!people.take_answer("dan (host), eve and 3 more", now));
        assert!(known(&people).contains(&"ann".into()) && known(&people).contains(&"dan".into()));
    }
}
