//! A slab whose keys carry a generation: an id from an earlier life of a slot finds nobody.

use std::marker::PhantomData;

use slab::Slab;

use crate::ids::{GENERATIONS, Key};

/// Values of one kind, each found by its own id in constant time.
#[derive(Debug)]
pub struct Slots<K, T> {
    slab: Slab<(u32, T)>,
    next_generation: u32,
    ids: PhantomData<fn() -> K>,
}

impl<K: Copy + From<Key> + Into<Key>, T> Slots<K, T> {
    /// An empty table; nothing is allocated.
    pub fn new() -> Self {
        Self { slab: Slab::new(), next_generation: 0, ids: PhantomData }
    }

    /// Stores `value` and returns the id that finds it until it is removed.
    ///
    /// # Panics
    /// With 2^32 values at once, which no limit of ours comes near.
    pub fn insert(&mut self, value: T) -> K {
        let generation = self.next_generation;
        self.next_generation = (generation + 1) % GENERATIONS;
        let slot = self.slab.insert((generation, value));
        // A slot is an index into memory that holds the values: 2^32 of them do not fit.
        let slot = u32::try_from(slot).expect("fewer than 2^32 values");
        K::from(Key { slot, generation })
    }

    /// The value, unless the id is from an earlier life of its slot.
    pub fn get(&self, id: K) -> Option<&T> {
        let key: Key = id.into();
        match self.slab.get(key.slot as usize) {
            Some((generation, value)) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// As [`Slots::get`], to change the value.
    pub fn get_mut(&mut self, id: K) -> Option<&mut T> {
        let key: Key = id.into();
        match self.slab.get_mut(key.slot as usize) {
            Some((generation, value)) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// Takes the value out; its id finds nobody from now on.
    pub fn remove(&mut self, id: K) -> Option<T> {
        self.get(id)?;
        let key: Key = id.into();
        Some(self.slab.remove(key.slot as usize).1)
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Every value with its id. For ends and starts, not for turns: it walks all of them.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.slab.iter().map(|(slot, (generation, value))| {
            // `insert` has shown that the slot fits.
            let key = Key { slot: slot as u32, generation: *generation };
            (K::from(key), value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnId;

    #[test]
    fn l8_an_id_from_an_earlier_life_of_the_slot_finds_nobody() {
        let mut slots: Slots<ConnId, &str> = Slots::new();
        let old = slots.insert("old");
        assert_eq!(slots.remove(old), Some("old"));
        let new = slots.insert("new");
        assert_eq!(new.0.slot, old.0.slot, "the slot is used again");
        assert_eq!(slots.get(old), None);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get(new), Some(&"new"));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn l8_generations_wrap_without_overflow() {
        let mut slots: Slots<ConnId, u8> = Slots::new();
        slots.next_generation = GENERATIONS - 1;
        let last = slots.insert(1);
        slots.remove(last);
        let first = slots.insert(2);
        assert_eq!(first.0.generation, 0);
        assert_eq!(slots.get(last), None);
    }

    #[test]
    fn iter_gives_ids_that_find_the_values() {
        let mut slots: Slots<ConnId, u8> = Slots::new();
        let first = slots.insert(1);
        let second = slots.insert(2);
        slots.remove(first);
        let all: Vec<(ConnId, u8)> = slots.iter().map(|(id, value)| (id, *value)).collect();
        assert_eq!(all, [(second, 2)]);
    }
}
