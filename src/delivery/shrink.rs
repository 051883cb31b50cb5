//! Tables that were large once: their memory goes back, or many rooms could keep what one room's limit
//! allows, one after the other.

use std::collections::HashMap;
use std::hash::Hash;

/// How much of a table may be unused. Growing takes a half, so that nothing is moved to and fro.
const UNUSED: usize = 4;

/// Gives back what a list does not need, but leaves it room for `least`.
pub(crate) fn shrink_list<T>(list: &mut Vec<T>, least: usize) {
    let needed = list.len().max(least);
    if list.capacity() > UNUSED * needed {
        list.shrink_to(2 * needed);
    }
}

/// The same of a map.
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
    fn t4_what_is_not_needed_any_more_goes_back() {
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
