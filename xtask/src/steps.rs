//! A run of many steps: each named, timed, and accounted for at the end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What became of a step.
#[derive(Debug)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Steps {
    keep_going: bool,
    done: Vec<(String, Duration, Outcome)>,
}

impl Steps {
    /// With `keep_going` a failed step does not end the run; the run still fails.
    pub(crate) fn new(keep_going: bool) -> Steps {
        Steps { keep_going, done: Vec::new() }
    }

    /// Does one step. None if it failed and the run goes on.
    pub(crate) fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        eprintln!("\n==> {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        match result {
            Ok(value) => {
                eprintln!("==> {name}: passed in {:.1} s", took.as_secs_f64());
                self.done.push((name.to_owned(), took, Outcome::Passed));
                Ok(Some(value))
            }
            Err(error) => {
                eprintln!("==> {name}: FAILED after {:.1} s: {error:#}", took.as_secs_f64());
                self.done.push((name.to_owned(), took, Outcome::Failed(format!("{error:#}"))));
                if !self.keep_going {
                    bail!("{name} failed\n{}", self.summary());
                }
                Ok(None)
            }
        }
    }

    /// Notes a step that is not done, and why.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        eprintln!("\n==> {name}: skipped: {why}");
        self.done.push((name.to_owned(), Duration::ZERO, Outcome::Skipped(why.to_owned())));
    }

    /// What became of a step, in a word; none where it was not come to.
    pub(crate) fn outcome(&self, name: &str) -> Option<&'static str> {
        let (.., outcome) = self.done.iter().find(|(done, ..)| done == name)?;
        Some(match outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        })
    }

    /// The summary; an error if any step failed or none was done.
    pub(crate) fn finish(self) -> Result<String> {
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let summary = self.summary();
        if failed > 0 {
            bail!("{failed} steps failed\n{summary}");
        }
        if self.count(|outcome| matches!(outcome, Outcome::Passed)) == 0 {
            bail!("no step was done\n{summary}");
        }
        Ok(summary)
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.done.iter().filter(|(_, _, outcome)| which(outcome)).count()
    }

    fn summary(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for (name, took, outcome) in &self.done {
            let verdict = match outcome {
                Outcome::Passed => "passed".to_owned(),
                Outcome::Failed(why) => format!("FAILED: {why}"),
                Outcome::Skipped(why) => format!("skipped: {why}"),
            };
            lines.push(format!("{:>7.1} s  {name}: {verdict}", took.as_secs_f64()));
        }
        let total: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        lines.push(format!("{:>7.1} s  in all", total.as_secs_f64()));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_ends_the_run_and_the_summary_says_why() {
        let mut steps = Steps::new(false);
        let error = steps.step("one", || -> Result<()> { bail!("broken") }).expect_err("the step failed");
        assert!(error.to_string().contains("one: FAILED: broken"), "{error:#}");
    }

    #[test]
    fn keep_going_does_the_next_step_and_fails_at_the_end() {
        let mut steps = Steps::new(true);
        assert!(steps.step("one", || -> Result<()> { bail!("broken") }).expect("goes on").is_none());
        assert!(steps.step("two", || Ok(())).expect("goes on").is_some());
        assert!(steps.finish().is_err());
    }

    #[test]
    fn a_run_that_did_nothing_is_no_success() {
        let mut steps = Steps::new(false);
        steps.skip("one", "for a reason");
        assert!(steps.finish().is_err());
    }
}
