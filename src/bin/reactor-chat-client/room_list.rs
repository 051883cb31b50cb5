//! The list of rooms as the server gives it, page by page.

use std::net::TcpStream;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::connect::connect;
use crate::explain;
use crate::failure::Failure;
use crate::options::ServerAddress;
use crate::requests::{self, RequestError};
use reactor_chat::protocol::Operation;
use reactor_chat::protocol::name::MAX_NAME;

/// Bytes of all pages. A server that lists more is not believed: it may make up rooms for ever.
pub(crate) const MAX_LIST: usize = 64 << 20;

/// A room as the server lists it.
#[derive(Deserialize)]
pub(crate) struct ListedRoom {
    pub(crate) room: String,
    pub(crate) members: u64,
    /// 0 is none.
    pub(crate) capacity: u64,
    pub(crate) password: bool,
    /// There are rooms behind this one that did not fit.
    #[serde(default)]
    pub(crate) more: bool,
}

/// The rooms of a server, and the JSON that says so.
#[derive(Default)]
pub(crate) struct RoomList {
    pub(crate) rooms: Vec<ListedRoom>,
    pages: Vec<String>,
    /// The reason why the rest of the list is missing, if it is.
    pub(crate) cut: Option<Failure>,
}

/// Asks for the list of rooms. If a later page fails, the earlier ones are kept.
pub(crate) fn fetch(server: &ServerAddress) -> Result<RoomList, Failure> {
    let connection = connect(server)?;
    let mut list = RoomList::default();
    let mut stream =
        list.ask(connection.stream, "").map_err(|why| explain::of_list(server, &why))?;
    while let Some(after) = list.next().map(String::from) {
        match list.ask(stream, &after) {
            Ok(same) => stream = same,
            Err(why) => {
                list.cut = Some(cut(list.rooms.len(), &explain::of_list(server, &why)));
                break;
            }
        }
    }
    Ok(list)
}

fn cut(shown: usize, why: &Failure) -> Failure {
    Failure(format!("the list is cut after {shown} rooms: {why}"))
}

impl RoomList {
    /// Asks for the page behind this name and adds it.
    fn ask(&mut self, stream: TcpStream, after: &str) -> Result<TcpStream, RequestError> {
        let wish = json!({ "after": after }).to_string();
        let (page, stream) = requests::ask(stream, Operation::List, "", wish.as_bytes())?;
        self.add(page).ok_or(RequestError::Nonsense)?;
        Ok(stream)
    }

    /// Adds a page, if it is one that can follow: each page leads on, so that they come to an end.
    fn add(&mut self, payload: Vec<u8>) -> Option<()> {
        let page = String::from_utf8(payload).ok()?;
        let rooms: Vec<ListedRoom> = serde_json::from_str(&page).ok()?;
        let fits = page.len() + self.pages.iter().map(String::len).sum::<usize>() <= MAX_LIST;
        let are_names = rooms.iter().all(|room| room.room.len() <= MAX_NAME);
        let leads_on = match (self.rooms.last(), rooms.last()) {
            (Some(last), Some(next)) => last.room < next.room,
            _ => true,
        };
        if !(fits && are_names && leads_on) {
            return None;
        }
        // A page without rooms gives no name to continue from.
        self.rooms.last_mut().into_iter().for_each(|last| last.more = false);
        self.rooms.extend(rooms);
        self.pages.push(page);
        Some(())
    }

    /// Returns the name behind which the next page begins, if there is one.
    fn next(&self) -> Option<&str> {
        self.rooms.last().filter(|room| room.more).map(|room| &*room.room)
    }

    /// Returns the JSON: the server's own if it came in one piece, else the entries of all pages.
    /// Only the last entry tells whether there are others.
    pub(crate) fn json(&self) -> String {
        if let [page] = &self.pages[..] {
            return page.clone();
        }
        let pages = self.pages.iter().map(|page| serde_json::from_str(page).unwrap_or_default());
        let mut entries: Vec<Map<String, Value>> = pages.flat_map(|page: Vec<_>| page).collect();
        let last = entries.len().saturating_sub(1);
        entries[..last].iter_mut().for_each(|entry| drop(entry.remove("more")));
        Value::from_iter(entries).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rooms: &[&str], has_more: bool) -> Vec<u8> {
        let last = rooms.len().wrapping_sub(1);
        let entries = rooms.iter().enumerate().map(|(place, room)| {
            let more = if has_more && place == last { r#","more":true"# } else { "" };
            format!(r#"{{"room":"{room}","members":1,"capacity":2,"password":false{more}}}"#)
        });
        format!("[{}]", entries.collect::<Vec<_>>().join(",")).into_bytes()
    }

    #[test]
    fn a_list_with_a_name_that_cannot_be_is_none() {
        let list = |size: usize| RoomList::default().add(page(&[&"x".repeat(size)], false));
        assert!(list(MAX_NAME).is_some());
        assert!(list(MAX_NAME + 1).is_none());
        assert!(RoomList::default().add(b"[{}]".into()).is_none());
        assert!(RoomList::default().add(b"[]\xff".into()).is_none());
    }

    #[test]
    fn w10_field_h_pages_follow_each_other_to_the_end() {
        let mut list = RoomList::default();
        assert!(list.add(page(&["a", "b"], true)).is_some());
        assert_eq!(list.next(), Some("b"));
        assert!(list.add(page(&["b c", "d"], false)).is_some());
        assert_eq!(list.next(), None);
        assert_eq!(list.rooms.len(), 4);
        let json: Vec<Map<String, Value>> = serde_json::from_str(&list.json()).expect("JSON");
        assert!(json.len() == 4 && json.iter().all(|entry| !entry.contains_key("more")));
        // The rooms behind the last one have gone meanwhile.
        let mut list = RoomList::default();
        assert!(list.add(page(&["a"], true)).is_some() && list.add(page(&[], false)).is_some());
        assert_eq!(list.next(), None);
    }

    #[test]
    fn w10_field_h_a_server_that_turns_in_circles_is_not_believed() {
        let mut list = RoomList::default();
        assert!(list.add(page(&["a", "b"], true)).is_some());
        assert!(list.add(page(&["a", "b"], true)).is_none());
        assert_eq!(list.rooms.len(), 2);
    }
}
