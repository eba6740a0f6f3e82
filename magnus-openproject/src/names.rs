//! Names of statuses and priorities that are in use, by meaning.

use magnus_core::model::{Priority, Status};

/// Names that administrators give, in lower case. In each row the most usual name comes first: it is preferred when a
/// status is written. The tool names its first statuses in the language it was set up in.
pub(crate) const STATUS_NAMES: &[(Status, &[&str])] = &[
    (
        Status::Todo,
        &[
            "new",
            "to do",
            "todo",
            "open",
            "backlog",
            "specified",
            "confirmed",
            "to be scheduled",
            "scheduled",
            "ready",
            "neu",
            "offen",
            "spezifiziert",
            "bestätigt",
            "zu planen",
            "geplant",
            "nouveau",
            "à faire",
            "nuevo",
            "nuovo",
            "nieuw",
            "novo",
        ],
    ),
    (
        Status::InProgress,
        &[
            "in progress",
            "doing",
            "in development",
            "started",
            "in specification",
            "developed",
            "in bearbeitung",
            "in arbeit",
            "in spezifikation",
            "entwickelt",
            "en cours",
            "en progreso",
            "en curso",
            "in corso",
            "in uitvoering",
            "em andamento",
            "em progresso",
        ],
    ),
    (
        Status::Review,
        &[
            "in review",
            "review",
            "in testing",
            "testing",
            "tested",
            "to be reviewed",
            "resolved",
            "im test",
            "in prüfung",
            "getestet",
            "gelöst",
            "en revue",
            "en test",
            "en revisión",
            "in revisione",
            "em revisão",
        ],
    ),
    (
        Status::Blocked,
        &[
            "blocked",
            "on hold",
            "waiting",
            "test failed",
            "paused",
            "feedback",
            "blockiert",
            "zurückgestellt",
            "wartend",
            "test fehlgeschlagen",
            "en attente",
            "bloqué",
            "en espera",
            "bloqueado",
            "in attesa",
            "em espera",
        ],
    ),
    (
        Status::Done,
        &[
            "closed",
            "done",
            "completed",
            "complete",
            "finished",
            "geschlossen",
            "abgeschlossen",
            "erledigt",
            "fertig",
            "fermé",
            "clos",
            "terminé",
            "cerrado",
            "chiuso",
            "gesloten",
            "fechado",
            "concluído",
        ],
    ),
    (
        Status::Cancelled,
        &[
            "rejected",
            "cancelled",
            "canceled",
            "won't do",
            "wont do",
            "won't fix",
            "obsolete",
            "discarded",
            "abgelehnt",
            "abgebrochen",
            "verworfen",
            "rejeté",
            "annulé",
            "rechazado",
            "cancelado",
            "rifiutato",
            "afgewezen",
            "rejeitado",
        ],
    ),
];

/// Names of priorities, as those of statuses.
pub(crate) const PRIORITY_NAMES: &[(Priority, &[&str])] = &[
    (
        Priority::Critical,
        &[
            "immediate",
            "critical",
            "urgent",
            "blocker",
            "highest",
            "sofort",
            "dringend",
            "kritisch",
            "immédiat",
            "inmediata",
            "immediata",
            "imediata",
        ],
    ),
    (
        Priority::High,
        &["high", "hoch", "haut", "haute", "élevée", "alta", "alto", "hoog"],
    ),
    (
        Priority::Medium,
        &[
            "normal", "medium", "mittel", "moyenne", "normale", "normaal", "media", "média",
        ],
    ),
    (
        Priority::Low,
        &[
            "low", "lowest", "minor", "niedrig", "gering", "bas", "basse", "faible", "baja", "bassa", "laag", "baixa",
        ],
    ),
];

/// What a name means, whatever its case.
pub(crate) fn known<T: Copy>(table: &[(T, &[&str])], name: &str) -> Option<T> {
    let name = name.trim().to_lowercase();
    table
        .iter()
        .find(|(_, names)| names.contains(&name.as_str()))
        .map(|(meaning, _)| *meaning)
}

/// How usual a name is for its meaning, for choosing among several; lower is better.
pub(crate) fn rank<T: PartialEq>(table: &[(T, &[&str])], meaning: &T, name: &str) -> usize {
    let name = name.trim().to_lowercase();
    let row = table.iter().find(|(known, _)| known == meaning);
    row.and_then(|(_, names)| names.iter().position(|known| *known == name))
        .unwrap_or(usize::MAX)
}
