//! Work on many things at once whose results come out in their order, a few at a time.

use std::collections::BTreeMap;
use std::sync::mpsc;

use rayon::prelude::*;

/// Items for each thread that are begun before the first of them is done.
const AHEAD: usize = 8;

/// Runs `work` on each of `items` on all threads and hands the results to `take` in the items' order, while the work goes on. Items are
/// asked for and begun in order, and at most a few for each thread wait for an earlier one: memory does not grow with their number. `take`
/// returns whether to go on.
pub fn in_order<T: Send, R: Send>(
    items: impl Iterator<Item = T> + Send,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> bool + Send,
) {
    let most = AHEAD * rayon::current_num_threads();
    let (give, results) = mpsc::sync_channel(most);
    // A ticket an item: taken when it is begun, given back when its result was taken.
    let (back, tickets) = mpsc::sync_channel(most);
    for _ in 0..most {
        // There is room for all of them.
        let _ = back.try_send(());
    }
    std::thread::scope(|scope| {
        let taker = scope.spawn(move || {
            let mut waiting = BTreeMap::new();
            let mut next = 0usize;
            for (at, result) in results {
                waiting.insert(at, result);
                while let Some(result) = waiting.remove(&next) {
                    next += 1;
                    if !take(result) {
                        return;
                    }
                    // Where all items were begun, nobody wants it.
                    let _ = back.send(());
                }
            }
        });
        let mut items = items.enumerate();
        // Where the taker has gone, nobody wants the rest.
        let begun = std::iter::from_fn(move || tickets.recv().ok().and_then(|()| items.next()));
        let done = begun
            .par_bridge()
            .try_for_each_with(give, |give, (at, item)| {
                give.send((at, work(item))).map_err(|_| ())
            });
        let _ = (done, taker.join());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_stop_when_told() {
        let mut taken = Vec::new();
        let slow_first = |item: usize| {
            if item.is_multiple_of(7) {
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
            item * 2
        };
        in_order(0..200, slow_first, |result| {
            taken.push(result);
            true
        });
        assert_eq!(taken, (0..200).map(|item| item * 2).collect::<Vec<_>>());
        let mut few = Vec::new();
        in_order(
            0..10_000,
            |item: usize| item,
            |result| {
                few.push(result);
                result < 9
            },
        );
        assert_eq!(few, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn little_waits_for_a_slow_item() {
        let (done, most) = (AtomicUsize::new(0), AHEAD * rayon::current_num_threads());
        let work = |item: usize| {
            if item == 0 {
                std::thread::sleep(std::time::Duration::from_millis(100));
                return done.load(Ordering::SeqCst);
            }
            done.fetch_add(1, Ordering::SeqCst);
            0
        };
        let mut results = Vec::new();
        in_order(0..10_000, work, |result| {
            results.push(result);
            true
        });
        assert_eq!(results.len(), 10_000);
        // What was done while the first was slow.
        assert!(results[0] < most, "{} of {most}", results[0]);
    }
}
