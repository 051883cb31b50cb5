//! Shrinking of tables that were large once. Without it, each of many rooms could in turn grow to
//! the limit of a room and keep that memory.

use std::collections::HashMap;
use std::hash::Hash;

/// A table shrinks when its capacity exceeds its need by this factor. Growing doubles a table, so a
/// smaller factor would move its contents to and fro.
const UNUSED: usize = 4;

/// Frees the unused memory of a list, but leaves space for `least`.
pub(crate) fn shrink_list<T>(list: &mut Vec<T>, least: usize) {
    let needed = list.len().max(least);
    if list.capacity() > UNUSED * needed {
        list.shrink_to(2 * needed);
    }
}

/// Frees the unused memory of a map, but leaves space for `least`.
pub(crate) fn shrink_map<K: Eq + Hash, V>(map: &mut HashMap<K, V>, least: usize) {
    let needed = map.len().max(least);
    if map.capacity() > UNUSED * needed {
        map.shrink_to(2 * needed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_unused_capacity_is_freed() {
        let mut list: Vec<u32> = (0..1000).collect();
        let mut map: HashMap<u32, u32> = (0..1000).map(|n| (n, n)).collect();
        list.truncate(500);
        map.retain(|n, _| *n < 500);
        shrink_list(&mut list, 8);
        shrink_map(&mut map, 8);
        assert!(list.capacity() >= 1000 && map.capacity() >= 1000, "it may grow again");
        list.clear();
        map.clear();
        shrink_list(&mut list, 8);
        shrink_map(&mut map, 8);
        assert!((8..=16).contains(&list.capacity()), "{}", list.capacity());
        assert!((8..=32).contains(&map.capacity()), "{}", map.capacity());
    }
}
