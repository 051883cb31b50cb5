//! The connections on which somebody watches the figures.

use super::Connections;
use crate::ids::ConnId;

impl Connections {
    /// Sends an event to every viewer that has read the last one. The others miss it.
    pub(in crate::reactor) fn send_event(&mut self, event: &[u8]) {
        let viewers = self.slots.iter().filter(|(_, slot)| slot.session.is_viewer());
        let ids: Vec<ConnId> = viewers.map(|(id, _)| id).collect();
        for id in ids {
            let Some(slot) = self.slots.get_mut(id) else { continue };
            if slot.session.connection.unsent() == 0 {
                slot.session.connection.send(event.to_vec());
                self.mark_unflushed(id);
                self.reschedule(id);
            }
        }
    }
}
