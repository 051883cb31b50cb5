//! Delivery: the entries that each member is still owed, their order and their memory.

pub(crate) mod entry_log;
pub(crate) mod farewells;
pub(crate) mod ordered;
pub(crate) mod plain;
pub(crate) mod schedule;
pub(crate) mod shrink;
pub(crate) mod unicast;
