//! Requests the list of rooms, page by page.

use serde_json::{Map, Value};

use reactor_chat::protocol::room_list::parse_page;
use reactor_chat::protocol::{Request, RoomInfo, request};

use crate::explain;
use crate::failure::Failure;
use crate::options::Server;
use crate::request_error::RequestError;
use crate::requests::exchange;
use crate::server_connection::connect;
use crate::server_stream::ServerStream;

/// Bytes of all pages together. A server may make up rooms without end.
const MAX_LIST: usize = 64 << 20;

/// The rooms of a server, and the JSON that the server sent.
#[derive(Default)]
pub(crate) struct RoomList {
    pub(crate) rooms: Vec<RoomInfo<'static>>,
    pages: Vec<String>,
    /// The reason why the rest of the list is missing, if it is.
    pub(crate) cut: Option<Failure>,
}

/// Requests the list of rooms. If a later page fails, the earlier ones are kept.
pub(crate) fn fetch(server: &Server) -> Result<RoomList, Failure> {
    let connection = connect(server)?;
    let mut list = RoomList::default();
    let mut stream = list
        .request_page(connection.stream, "")
        .map_err(|error| explain::failed_list(server, &error))?;
    while let Some(after) = list.next().map(String::from) {
        match list.request_page(stream, &after) {
            Ok(same) => stream = same,
            Err(error) => {
                list.cut = Some(cut(list.rooms.len(), &explain::failed_list(server, &error)));
                break;
            }
        }
    }
    Ok(list)
}

fn cut(shown: usize, why: &Failure) -> Failure {
    Failure::sentence(&format!("the list is cut after {shown} rooms: {why}"))
}

impl RoomList {
    /// Requests the page behind the room `after`, and adds it.
    fn request_page(
        &mut self,
        stream: ServerStream,
        after: &str,
    ) -> Result<ServerStream, RequestError> {
        let request = Request::List { prefix: Some("".into()), after: Some(after.into()) };
        let (page, stream) = exchange(stream, &request::encode(&request), MAX_LIST)?;
        self.add(page).ok_or(RequestError::Invalid)?;
        Ok(stream)
    }

    /// Adds a page. Returns `None` if it does not lead on from the last one: then a server could
    /// send pages for ever.
    fn add(&mut self, payload: Vec<u8>) -> Option<()> {
        let rooms = parse_page(&payload)?;
        let page = String::from_utf8(payload).ok()?;
        let fits = page.len() + self.pages.iter().map(String::len).sum::<usize>() <= MAX_LIST;
        let leads_on = match (self.rooms.last(), rooms.last()) {
            (Some(last), Some(next)) => last.room < next.room,
            _ => true,
        };
        if !(fits && leads_on) {
            return None;
        }
        // A page without rooms has no name to continue from.
        self.rooms.last_mut().into_iter().for_each(|last| last.more = false);
        self.rooms.extend(rooms);
        self.pages.push(page);
        Some(())
    }

    /// Returns the name behind which the next page begins, if there is one.
    fn next(&self) -> Option<&str> {
        self.rooms.last().filter(|room| room.more).map(|room| &*room.room)
    }

    /// Returns the list as JSON: a single page as the server sent it, several pages as one array, in
    /// which only the last room may be marked with `more`.
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
    use reactor_chat::protocol::name::MAX_NAME;

    fn page(rooms: &[&str], has_more: bool) -> Vec<u8> {
        let last = rooms.len().wrapping_sub(1);
        let entries = rooms.iter().enumerate().map(|(place, room)| {
            let more = if has_more && place == last { r#","more":true"# } else { "" };
            format!(r#"{{"room":"{room}","members":1,"capacity":2,"password":false{more}}}"#)
        });
        format!("[{}]", entries.collect::<Vec<_>>().join(",")).into_bytes()
    }

    #[test]
    fn list_with_impossible_name_is_invalid() {
        let list = |size: usize| RoomList::default().add(page(&[&"x".repeat(size)], false));
        assert!(list(MAX_NAME).is_some());
        assert!(list(MAX_NAME + 1).is_none());
        assert!(RoomList::default().add(b"[{}]".into()).is_none());
        assert!(RoomList::default().add(b"[]\xff".into()).is_none());
    }

    #[test]
    fn w10_field_h_pages_are_joined() {
        let mut list = RoomList::default();
        assert!(list.add(page(&["a", "b"], true)).is_some());
        assert_eq!(list.next(), Some("b"));
        assert!(list.add(page(&["b c", "d"], false)).is_some());
        assert_eq!(list.next(), None);
        assert_eq!(list.rooms.len(), 4);
        let json: Vec<Map<String, Value>> = serde_json::from_str(&list.json()).expect("JSON");
        assert!(json.len() == 4 && json.iter().all(|entry| !entry.contains_key("more")));
        // The rooms behind the last one were closed meanwhile.
        let mut list = RoomList::default();
        assert!(list.add(page(&["a"], true)).is_some() && list.add(page(&[], false)).is_some());
        assert_eq!(list.next(), None);
    }

    #[test]
    fn w10_field_h_repeated_page_is_refused() {
        let mut list = RoomList::default();
        assert!(list.add(page(&["a", "b"], true)).is_some());
        assert!(list.add(page(&["a", "b"], true)).is_none());
        assert_eq!(list.rooms.len(), 2);
    }
}
