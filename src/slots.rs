//! Tables whose keys carry a generation: an id from an earlier life of a slot finds nothing.

use std::marker::PhantomData;

use crate::ids::{GENERATIONS, Key};

/// Values of one kind, each found by its id in constant time.
#[derive(Debug)]
pub struct Slots<K, T> {
    slots: Vec<Slot<T>>,
    /// Empty slots that may be reused.
    free: Vec<u32>,
    /// Number of values.
    len: usize,
    ids: PhantomData<fn() -> K>,
}

#[derive(Debug)]
struct Slot<T> {
    /// Generation of the value, or of the next one if the slot is empty.
    generation: u32,
    value: Option<T>,
}

impl<K: Copy + From<Key> + Into<Key>, T> Slots<K, T> {
    /// Returns an empty table without an allocation.
    pub fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), len: 0, ids: PhantomData }
    }

    /// Stores `value` and returns the id that finds it until it is removed.
    ///
    /// # Panics
    /// At 2^32 values. All limits of the server are far lower.
    pub fn insert(&mut self, value: T) -> K {
        self.insert_with(|_| value)
    }

    /// Stores the value that `make` returns for its id, and returns the id.
    ///
    /// # Panics
    /// As [`Slots::insert`].
    pub fn insert_with(&mut self, make: impl FnOnce(K) -> T) -> K {
        let slot = self.free.pop().unwrap_or_else(|| self.add_slot());
        let place = &mut self.slots[slot as usize];
        let id = K::from(Key { slot, generation: place.generation });
        place.value = Some(make(id));
        self.len += 1;
        id
    }

    fn add_slot(&mut self) -> u32 {
        // Each slot takes memory, so 2^32 slots do not fit.
        let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 values");
        self.slots.push(Slot { generation: 0, value: None });
        slot
    }

    /// Returns the value, unless the id is from an earlier life of its slot.
    pub fn get(&self, id: K) -> Option<&T> {
        let key: Key = id.into();
        let slot = self.slots.get(key.slot as usize)?;
        slot.value.as_ref().filter(|_| slot.generation == key.generation)
    }

    /// Returns the value as [`Slots::get`] does, to change it.
    pub fn get_mut(&mut self, id: K) -> Option<&mut T> {
        let key: Key = id.into();
        let slot = self.slots.get_mut(key.slot as usize)?;
        slot.value.as_mut().filter(|_| slot.generation == key.generation)
    }

    /// Removes and returns the value. Its id finds nothing from now on.
    ///
    /// A slot is not reused after its last generation, because an old id would then find another
    /// value. That wastes one slot in a billion insertions.
    pub fn remove(&mut self, id: K) -> Option<T> {
        self.get(id)?;
        let key: Key = id.into();
        let slot = &mut self.slots[key.slot as usize];
        let value = slot.value.take();
        self.len -= 1;
        slot.generation += 1;
        if slot.generation < GENERATIONS {
            self.free.push(key.slot);
        }
        value
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns every value with its id. It walks the whole table, so it is for the start and the end
    /// of the server.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| {
            let key = Key { slot: index, generation: slot.generation };
            Some((K::from(key), slot.value.as_ref()?))
        })
    }
}

/// Values beside those of a [`Slots`] table, found by the ids of that table. A look-up is an index
/// and a comparison.
#[derive(Debug)]
pub struct SecondaryMap<K, T> {
    /// The values by slot, with their generations.
    slots: Vec<Option<(u32, T)>>,
    ids: PhantomData<fn() -> K>,
}

impl<K: Into<Key>, T> SecondaryMap<K, T> {
    /// Returns an empty map; nothing is allocated.
    pub fn new() -> Self {
        Self { slots: Vec::new(), ids: PhantomData }
    }

    /// Stores the value of an id, in place of that of an earlier life of its slot.
    pub fn insert(&mut self, id: K, value: T) {
        let Key { slot, generation } = id.into();
        let slot = slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some((generation, value));
    }

    /// Returns the value of an id.
    pub fn get(&self, id: K) -> Option<&T> {
        let key: Key = id.into();
        let (generation, value) = self.slots.get(key.slot as usize)?.as_ref()?;
        (*generation == key.generation).then_some(value)
    }

    /// Returns the value of an id, to change it.
    pub fn get_mut(&mut self, id: K) -> Option<&mut T> {
        let key: Key = id.into();
        let (generation, value) = self.slots.get_mut(key.slot as usize)?.as_mut()?;
        (*generation == key.generation).then_some(value)
    }

    /// Removes and returns the value of an id.
    pub fn remove(&mut self, id: K) -> Option<T> {
        let key: Key = id.into();
        let slot = self.slots.get_mut(key.slot as usize)?;
        let removed = slot.take_if(|(generation, _)| *generation == key.generation);
        removed.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnId;

    #[test]
    fn l8_an_old_id_finds_nothing() {
        let mut slots: Slots<ConnId, &str> = Slots::new();
        let old = slots.insert("old");
        assert_eq!(slots.remove(old), Some("old"));
        let new = slots.insert("new");
        assert_eq!(new.0.slot, old.0.slot, "the slot is reused");
        assert_eq!(slots.get(old), None);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get(new), Some(&"new"));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn a6_l8_the_last_generation_is_final() {
        let mut slots: Slots<ConnId, u8> = Slots::new();
        let first = slots.insert(0);
        slots.remove(first);
        slots.slots[0].generation = GENERATIONS - 1;
        let last = slots.insert(1);
        assert_eq!(last.0, Key { slot: 0, generation: GENERATIONS - 1 });
        assert_eq!(slots.remove(last), Some(1));
        let other = slots.insert(2);
        assert_eq!(other.0, Key { slot: 1, generation: 0 });
        assert_eq!((slots.get(first), slots.get(last), slots.len()), (None, None, 1));
    }

    #[test]
    fn l8_secondary_ignores_reused_slots() {
        let mut slots: Slots<ConnId, ()> = Slots::new();
        let mut names = SecondaryMap::new();
        let old = slots.insert(());
        names.insert(old, "old");
        slots.remove(old);
        let new = slots.insert(());
        assert_eq!(names.get(new), None);
        assert_eq!(names.remove(new), None);
        names.insert(new, "new");
        assert_eq!(names.get_mut(old), None);
        assert_eq!(names.remove(old), None);
        assert_eq!(names.remove(new), Some("new"));
    }

    #[test]
    fn iter_returns_ids_of_the_values() {
        let mut slots: Slots<ConnId, u8> = Slots::new();
        let first = slots.insert(1);
        let second = slots.insert(2);
        slots.remove(first);
        let all: Vec<(ConnId, u8)> = slots.iter().map(|(id, value)| (id, *value)).collect();
        assert_eq!(all, [(second, 2)]);
    }
}
