//! Work on many things at once whose results come out in their order, a few at a time.

use std::collections::BTreeMap;
use std::sync::mpsc;

use rayon::prelude::*;

/// Runs `work` on each of `items` on all threads and hands the results to `take` in the items' order, while the work goes on. Items are
/// begun in order, and at most a few for each thread wait for an earlier one: memory does not grow with their number. `take` returns
/// whether to go on.
pub fn in_order<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> bool + Send,
) {
    // Small, so that a slow taker holds the workers back.
    let (give, results) = mpsc::sync_channel(2 * rayon::current_num_threads());
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
                }
            }
        });
        let done = items
            .into_iter()
            .enumerate()
            .par_bridge()
            .try_for_each_with(give, |give, (at, item)| {
                // The taker has gone: nobody wants the rest.
                give.send((at, work(item))).map_err(|_| ())
            });
        let _ = (done, taker.join());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_stop_when_told() {
        let mut taken = Vec::new();
        let slow_first = |item: usize| {
            if item.is_multiple_of(7) {
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
            item * 2
        };
        in_order((0..200).collect(), slow_first, |result| {
            taken.push(result);
            true
        });
        assert_eq!(taken, (0..200).map(|item| item * 2).collect::<Vec<_>>());
        let mut few = Vec::new();
        in_order(
            (0..10_000).collect(),
            |item: usize| item,
            |result| {
                few.push(result);
                result < 9
            },
        );
        assert_eq!(few, (0..10).collect::<Vec<_>>());
    }
}
