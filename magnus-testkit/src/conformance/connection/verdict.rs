//! What a rule says of a connection.

use magnus_core::connection::ConnectionError;

/// What a rule found. One that is broken panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The rule holds.
    Holds,
    /// It says nothing of this tool, for this reason.
    DoesNotApply(&'static str),
}

/// What a rule answers: an error where none was expected breaks it too.
pub type Checked = Result<Verdict, ConnectionError>;

/// Fails unless the rule holds, or does not apply and is among those that are said not to.
///
/// # Panics
/// If the rule is broken, or if `without` is not the truth about it.
pub fn judge(rule: &str, without: &[&str], checked: Checked) {
    let left_out = without.contains(&rule);
    match checked {
        Ok(Verdict::Holds) => assert!(!left_out, "{rule} does apply: take it off the list `without`"),
        Ok(Verdict::DoesNotApply(reason)) => {
            assert!(
                left_out,
                "{rule} does not apply: {reason}. If that is right, say so in the list `without`"
            );
            println!("{rule} does not apply: {reason}");
        }
        Err(error) => panic!("{rule}: {error}: {error:?}"),
    }
}

/// Takes what a hook or capability offers, or ends the rule because it does not apply.
macro_rules! needs {
    ($offered:expr, $otherwise:literal) => {
        match $offered {
            Some(offered) => offered,
            None => return Ok($crate::conformance::connection::Verdict::DoesNotApply($otherwise)),
        }
    };
}
pub(super) use needs;
