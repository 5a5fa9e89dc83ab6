//! The worst of many, a few of them kept.

/// Keeps the first few things by their rank; of equal ones those that came first.
#[derive(Debug)]
pub struct Worst<T> {
    most: usize,
    kept: Vec<((u8, f64), T)>,
}

impl<T> Worst<T> {
    /// Keeps at most so many.
    pub fn most(most: usize) -> Worst<T> {
        Worst {
            most,
            kept: Vec::new(),
        }
    }

    /// Takes one of that rank, which is made only where it is kept.
    pub fn add(&mut self, rank: (u8, f64), make: impl FnOnce() -> T) {
        let at = self.kept.partition_point(|(known, _)| {
            known
                .0
                .cmp(&rank.0)
                .then(known.1.total_cmp(&rank.1))
                .is_le()
        });
        if at < self.most {
            self.kept.truncate(self.most - 1);
            self.kept.insert(at, (rank, make()));
        }
    }

    /// The worst first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.kept.iter().map(|(_, one)| one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stay_in_order() {
        let mut worst = Worst::most(3);
        for (class, apart, name) in [
            (2, -0.0, "a"),
            (0, -5.0, "b"),
            (2, -0.5, "c"),
            (0, f64::NEG_INFINITY, "d"),
            (0, -5.0, "e"),
            (1, 0.0, "f"),
        ] {
            worst.add((class, apart), || name);
        }
        assert_eq!(worst.iter().copied().collect::<String>(), "dbe");
    }
}
