//! Randomness that can be had again.

use std::env;
use std::hash::{BuildHasher, Hasher, RandomState};

/// How many seeds each fault is tried with where nothing else is said.
const SEEDS: u64 = 3;

/// The first seed of this process, and how many: JATTACH_E2E_SEED and JATTACH_E2E_SEEDS, or else any three.
///
/// # Panics
/// If they are no numbers.
#[must_use]
pub fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| {
        let text = env::var(name).ok().filter(|text| !text.is_empty())?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    let first = number("JATTACH_E2E_SEED").unwrap_or_else(any);
    first..first + number("JATTACH_E2E_SEEDS").unwrap_or(SEEDS)
}

/// Any seed; a short one, because a person types it again.
#[must_use]
pub fn any() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}

/// What one seed gives for one fault, number after number: SplitMix64.
#[derive(Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The same numbers for the same seed and fault; others for another fault.
    #[must_use]
    pub fn new(seed: u64, fault: &str) -> Dice {
        Dice { state: fault.bytes().fold(seed, |state, byte| state.wrapping_mul(31).wrapping_add(byte.into())) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `from` up to, and not with, `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// One of two.
    pub fn flip(&mut self) -> bool {
        self.next() & 1 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_again_and_another_fault_something_else() {
        let numbers = |seed, fault| {
            let mut dice = Dice::new(seed, fault);
            [(); 8].map(|()| dice.between(1 << 20, 30 << 20))
        };
        assert_eq!(numbers(7, "cut"), numbers(7, "cut"));
        assert_ne!(numbers(7, "cut"), numbers(7, "stall"));
        assert_ne!(numbers(7, "cut"), numbers(8, "cut"));
        assert!(numbers(7, "cut").iter().all(|number| (1 << 20..30 << 20).contains(number)));
    }
}
