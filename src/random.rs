//! Numbers that look random and are the same everywhere for the same seed.

/// SplitMix64 (Steele et al. 2014): ten lines instead of a dependency of the page's, and the same draws everywhere.
#[derive(Debug, Clone)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The generator of item `index` of a row: each has its own, so that they can be drawn in any order.
    #[must_use]
    pub fn of(seed: u64, index: usize) -> SplitMix {
        let mut first = SplitMix(seed ^ (index as u64).wrapping_mul(0xa076_1d64_78bd_642f));
        SplitMix(first.draw())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below 1, all 53 bits of it.
    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of the standard normal distribution (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// Brings items into a random order (Fisher and Yates; Durstenfeld 1964).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, (self.unit() * (end + 1) as f64) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_published_ones_and_normal_ones_are_normal() {
        // The reference implementation's first draws from the seed 1234567.
        let mut random = SplitMix(1_234_567);
        assert_eq!(random.draw(), 6_457_827_717_110_365_317);
        assert_eq!(random.draw(), 3_203_168_211_198_807_973);
        let count = 20_000;
        let draws: Vec<f64> = (0..count)
            .map(|index| SplitMix::of(1, index).normal())
            .collect();
        let mean = draws.iter().sum::<f64>() / count as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04,
            "{mean} {variance}"
        );
        let mut random = SplitMix(3);
        assert!((0..count).all(|_| (0.0..1.0).contains(&random.unit())));
    }
}
