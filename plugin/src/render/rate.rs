//! How fast bytes arrive, over the last few seconds. indicatif's own estimate takes a dump that is gone on with at 30 GiB for
//! one that has brought 30 GiB at once.

use std::fmt;
use std::time::{Duration, Instant};

use indicatif::style::ProgressTracker;
use indicatif::{HumanBytes, ProgressState};

/// Over so many seconds what was seen fades away.
const MEMORY: f64 = 3.0;

/// Between two samples.
const SAMPLE: Duration = Duration::from_millis(250);

/// The key `{rate}` of a template.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    last: Option<(u64, Instant)>,
    per_second: Option<f64>,
}

impl Rate {
    #[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
    fn sample(&mut self, position: u64, now: Instant) {
        // Where it begins nobody knows how long that took.
        let Some((was, at)) = self.last.filter(|(was, _)| *was > 0 && *was <= position) else {
            *self = Rate { last: Some((position, now)), per_second: None };
            return;
        };
        let passed = now.saturating_duration_since(at);
        if passed < SAMPLE {
            return;
        }
        let now_per_second = (position - was) as f64 / passed.as_secs_f64();
        let kept = (-passed.as_secs_f64() / MEMORY).exp();
        self.per_second = Some(
            self.per_second.map_or(now_per_second, |per_second| per_second * kept + now_per_second * (1.0 - kept)),
        );
        self.last = Some((position, now));
    }
}

impl ProgressTracker for Rate {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, state: &ProgressState, now: Instant) {
        self.sample(state.pos(), now);
    }

    fn reset(&mut self, _: &ProgressState, _: Instant) {
        *self = Rate::default();
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no rate is below zero, or as high")]
    fn write(&self, _: &ProgressState, out: &mut dyn fmt::Write) {
        if let Some(per_second) = self.per_second {
            let _ = write!(out, "{}/s", HumanBytes(per_second as u64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// What is shown after these positions, a second apart.
    fn after(positions: &[u64]) -> Option<u64> {
        let (begin, mut rate) = (Instant::now(), Rate::default());
        for (second, position) in (0..).zip(positions) {
            rate.sample(*position, begin + Duration::from_secs(second));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
        rate.per_second.map(|per_second| per_second.round() as u64)
    }

    #[test]
    fn what_was_there_before_is_no_speed() {
        assert_eq!(after(&[0, 30_000 * MIB]), None);
        assert_eq!(after(&[0, 30_000 * MIB, 30_020 * MIB]), Some(20 * MIB));
    }

    #[test]
    fn a_steady_stream_is_told_as_it_is_and_one_that_stands_fades() {
        assert_eq!(after(&[MIB, 20 * MIB, 39 * MIB, 58 * MIB]), Some(19 * MIB));
        let standing = after(&[MIB, 20 * MIB, 20 * MIB, 20 * MIB, 20 * MIB]).expect("a rate");
        assert!((MIB..10 * MIB).contains(&standing), "{standing}");
        assert_eq!(after(&[50 * MIB, 60 * MIB, MIB]), None, "it has begun anew");
    }
}
