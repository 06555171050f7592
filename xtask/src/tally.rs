//! The sum of what test runners report.

use std::fmt;
use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub passed: u32,
    pub failed: u32,
    /// Steps that could not be done here, and tests that said `skipped: ` and why.
    pub skipped: u32,
}

impl Tally {
    /// Adds what one line of a test runner's output says, if it says anything.
    pub fn read(&mut self, line: &str) {
        if let Some((_, counts)) = line.split_once("test result: ") {
            for count in counts.split(['.', ';']) {
                match count.trim().split_once(' ') {
                    Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                    Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                    Some((number, "ignored")) => self.skipped += number.parse().unwrap_or(0),
                    _ => {}
                }
            }
        } else if line.starts_with("skipped: ") || line.contains(" ... skipped: ") {
            self.skipped += 1;
        }
    }

    /// A test that skips returns early, which its runner takes for a pass.
    pub fn without_skipped_among_passed(mut self) -> Self {
        self.passed = self.passed.saturating_sub(self.skipped);
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn result_lines_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "running 2 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            tally.read(line);
        }
        assert_eq!(tally, Tally { passed: 15, failed: 2, skipped: 1 });
        assert_eq!(tally.to_string(), "15 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_skipped_kernel_test_is_no_pass() {
        let mut tally = Tally::default();
        for line in [
            "skipped: no nmap here",
            "test scan ... skipped: no hping3 here",
            "test counts ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ] {
            tally.read(line);
        }
        let tally = tally.without_skipped_among_passed();
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: 2 });
    }

    #[test]
    fn the_closing_line_is_bare_when_nothing_was_skipped() {
        assert_eq!(Tally { passed: 7, ..Tally::default() }.to_string(), "7 passed, 0 failed");
    }
}
