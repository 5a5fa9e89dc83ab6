//! A few things that are costly to make, kept for those who ask for the same again.

use std::sync::{Mutex, PoisonError};

/// The things that were asked for last, by their keys.
#[derive(Debug)]
pub struct Kept<K, V> {
    most: usize,
    /// The one asked for last at the end.
    things: Mutex<Vec<(K, V)>>,
}

impl<K: PartialEq, V: Clone> Kept<K, V> {
    /// Keeps up to `most` of them.
    pub fn new(most: usize) -> Kept<K, V> {
        Kept {
            most: most.max(1),
            things: Mutex::default(),
        }
    }

    /// The thing of a key, made where it is not there. One is made at a time: two would need twice the memory, and the second may be the first again.
    pub fn get(&self, key: K, make: impl FnOnce(&K) -> V) -> V {
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        let found = things.iter().position(|(known, _)| *known == key);
        let thing = match found {
            Some(at) => things.remove(at),
            None => {
                let value = make(&key);
                if things.len() == self.most {
                    things.remove(0);
                }
                (key, value)
            }
        };
        let value = thing.1.clone();
        things.push(thing);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_asked_for_longest_goes() {
        let kept = Kept::new(2);
        let made = std::cell::Cell::new(0);
        let get = |key: u32| {
            kept.get(key, |key| {
                made.set(made.get() + 1);
                key * 10
            })
        };
        assert_eq!(
            [get(1), get(2), get(1), get(3), get(1)],
            [10, 20, 10, 30, 10]
        );
        assert_eq!(made.get(), 3);
        assert_eq!(get(2), 20);
        assert_eq!(made.get(), 4);
    }
}
