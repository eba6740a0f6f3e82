//! What all test programs together reported: the numbers, and the words of those that failed.

/// The most lines of one failed test that are said again at the end.
const LINES_PER_FAILURE: usize = 80;

/// What all test programs together reported.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// What failed, each with what it printed: hours later the end of the output is what is still at hand.
    pub(crate) failures: Vec<String>,
    /// Whether the lines that come belong to the last of `failures`.
    inside: bool,
}

impl Tally {
    /// Reads one line of a test program's output.
    pub(crate) fn read(&mut self, line: &str) {
        self.count(line);
        self.listen(line);
    }

    /// Counts a program that is run as a whole.
    pub(crate) fn program(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(words) => {
                self.failed += 1;
                self.failures.push(format!("---- {name}\n{words}"));
            }
        }
    }

    /// Counts the line `test result: ok. 3 passed; 0 failed; 1 ignored; …`; other lines say nothing.
    fn count(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        let counts = result.split_once(". ").map_or(result, |(_verdict, counts)| counts);
        for part in counts.split("; ") {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Keeps what a failed test printed: from `---- name stdout ----` to the list of names that follows.
    fn listen(&mut self, line: &str) {
        if line.starts_with("---- ") && line.ends_with(" ----") {
            self.failures.push(line.to_owned());
            self.inside = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.inside = false;
        } else if self.inside
            && let Some(failure) = self.failures.last_mut()
            && failure.lines().count() < LINES_PER_FAILURE
        {
            failure.push('\n');
            failure.push_str(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_are_added_up() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s");
        tally.read("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
        tally.program("example a", Ok(()));
        tally.program("example b", Err("it ended with 1".to_owned()));
        assert_eq!((tally.passed, tally.failed, tally.ignored), (16, 3, 1));
        assert_eq!(tally.failures, ["---- example b\nit ended with 1"]);
    }

    #[test]
    fn lines_that_are_no_result_count_nothing() {
        let mut tally = Tally::default();
        for line in [
            "",
            "running 3 tests",
            "test a_rule ... ok",
            "5 passed; 0 failed",
            "test result: nonsense",
        ] {
            tally.read(line);
        }
        assert_eq!(tally, Tally::default());
    }

    #[test]
    fn what_a_failed_test_said_is_kept_for_the_end() {
        let mut tally = Tally::default();
        let output = "\
running 2 tests
test a ... ok
test b ... FAILED

failures:

---- b stdout ----
thread 'b' panicked at here:
left is not right

failures:
    b

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        output.lines().for_each(|line| tally.read(line));
        assert_eq!(
            tally.failures,
            ["---- b stdout ----\nthread 'b' panicked at here:\nleft is not right\n"]
        );
        assert_eq!((tally.passed, tally.failed), (1, 1));
    }
}
