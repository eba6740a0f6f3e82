//! Whether a plan is so large that a person should look at it first.

use crate::model::GuardLimits;

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

/// What a guard counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Risk {
    Deletion,
    Overwrite,
    Creation,
}

impl Risk {
    pub(super) const ALL: [Self; 3] = [Self::Deletion, Self::Overwrite, Self::Creation];

    /// Why so much of this wants a person to look first. A limit is exceeded only if both its count and its percentage are.
    pub(super) fn exceeds(self, extent: &Extent, limits: &GuardLimits) -> Option<String> {
        let (what, number, of, limit, key) = match self {
            Self::Deletion => (
                "deletions",
                extent.deletions,
                extent.linked,
                limits.deletions,
                "deletions",
            ),
            Self::Overwrite => (
                "overwritten items",
                extent.overwrites,
                extent.linked,
                limits.overwrites,
                "overwrites",
            ),
            Self::Creation => (
                "creations in the tool",
                extent.creations,
                extent.in_tool,
                limits.creations,
                "creations",
            ),
        };
        let over_count = number > u64::from(limit.count);
        let over_percent = number.saturating_mul(100) > of.saturating_mul(u64::from(limit.percent));
        (over_count && over_percent).then(|| {
            format!(
                "{number} {what} (of {of}) exceed both {} and {} %; raise `guard.{key}` if this is wanted",
                limit.count, limit.percent
            )
        })
    }
}

/// The reasons to halt; empty: go on.
#[must_use]
pub fn guard(extent: &Extent, limits: &GuardLimits) -> Vec<String> {
    Risk::ALL
        .into_iter()
        .filter_map(|risk| risk.exceeds(extent, limits))
        .collect()
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
