//! Which of the values that were sent a refusal means.
//!
//! Dates, and the figures of progress, are checked against each other: a start after the stored due date is refused as
//! a wrong due date, which was not sent at all. Left out would then be nothing, and the same change refused again.

use magnus_core::connection::RejectedField;
use magnus_core::model::Field;

/// Fields of which one is refused for what another says.
const CHECKED_TOGETHER: &[&[Field]] = &[
    &[Field::StartDate, Field::DueDate],
    &[Field::EstimatedHours, Field::RemainingHours, Field::PercentageDone],
];

/// The refusals, by fields that were sent; one that concerns nothing that was sent stays as it is.
pub(crate) fn by_sent(rejected: &[RejectedField], sent: impl Fn(Field) -> bool) -> Vec<RejectedField> {
    let mut found: Vec<RejectedField> = Vec::new();
    for refusal in rejected {
        let related: Vec<Field> = CHECKED_TOGETHER
            .iter()
            .filter(|group| group.contains(&refusal.field))
            .flat_map(|group| group.iter().copied().filter(|field| sent(*field)))
            .collect();
        let blamed = if sent(refusal.field) || related.is_empty() {
            vec![refusal.field]
        } else {
            related
        };
        for field in blamed {
            if !found.iter().any(|known| known.field == field) {
                found.push(RejectedField {
                    field,
                    message: refusal.message.clone(),
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blamed(refused: &[Field], sent: &[Field]) -> Vec<Field> {
        let rejected: Vec<RejectedField> = refused
            .iter()
            .map(|field| RejectedField {
                field: *field,
                message: "No.".to_owned(),
            })
            .collect();
        by_sent(&rejected, |field| sent.contains(&field))
            .into_iter()
            .map(|refusal| refusal.field)
            .collect()
    }

    #[test]
    fn a_refusal_of_what_was_not_sent_means_what_was_sent_of_its_kind() {
        assert_eq!(
            blamed(&[Field::DueDate], &[Field::StartDate, Field::Title]),
            [Field::StartDate]
        );
        assert_eq!(
            blamed(&[Field::RemainingHours], &[Field::EstimatedHours]),
            [Field::EstimatedHours]
        );
        assert_eq!(
            blamed(&[Field::DueDate], &[Field::StartDate, Field::DueDate]),
            [Field::DueDate]
        );
        assert_eq!(blamed(&[Field::Parent], &[Field::Title]), [Field::Parent]);
    }
}
