//! Whether a plan is so large that a person should look at it first.

use crate::model::{GuardLimit, GuardLimits};

/// What a plan would do, in the numbers that a guard looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Live links: what the percentages refer to.
    pub linked: u64,
    /// Items deleted or archived, on either side.
    pub deletions: u64,
    /// Items of the tool of which a value is overwritten.
    pub overwrites: u64,
    /// Items created in the tool.
    pub creations: u64,
    /// Items in the tool before: what creations are measured by.
    pub in_tool: u64,
}

/// The reasons to halt; empty: go on. A limit is exceeded only if both its count and its percentage are.
#[must_use]
pub fn guard(extent: &Extent, limits: &GuardLimits) -> Vec<String> {
    let mut halts = Vec::new();
    let mut check = |what: &str, number: u64, of: u64, limit: GuardLimit, key: &str| {
        let over_count = number > u64::from(limit.count);
        let over_percent = number.saturating_mul(100) > of.saturating_mul(u64::from(limit.percent));
        if over_count && over_percent {
            halts.push(format!(
                "{number} {what} (of {of}) exceed both {} and {} %; raise `guard.{key}` if this is wanted",
                limit.count, limit.percent
            ));
        }
    };
    check(
        "deletions",
        extent.deletions,
        extent.linked,
        limits.deletions,
        "deletions",
    );
    check(
        "overwritten items",
        extent.overwrites,
        extent.linked,
        limits.overwrites,
        "overwrites",
    );
    check(
        "creations in the tool",
        extent.creations,
        extent.in_tool,
        limits.creations,
        "creations",
    );
    halts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_halts_only_beyond_the_count_and_the_percentage() {
        let limits = GuardLimits::default();
        let extent = |deletions, linked| Extent {
            deletions,
            linked,
            ..Extent::default()
        };
        assert!(guard(&extent(25, 30), &limits).is_empty(), "25 is not more than 25");
        assert!(
            guard(&extent(60, 300), &limits).is_empty(),
            "60 of 300 is not more than 20 %"
        );
        let halts = guard(&extent(60, 200), &limits);
        assert_eq!(halts.len(), 1);
        assert!(
            halts[0].contains("60 deletions") && halts[0].contains("guard.deletions"),
            "{halts:?}"
        );
    }

    #[test]
    fn creations_are_guarded_at_first_contact_too() {
        let extent = Extent {
            creations: 501,
            in_tool: 0,
            ..Extent::default()
        };
        assert_eq!(guard(&extent, &GuardLimits::default()).len(), 1);
    }
}
