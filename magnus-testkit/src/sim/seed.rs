//! Realistic tasks, the same for the same seed: the titles, texts, dates and estimates that people really write, and
//! the characters that break naive code.

use chrono::{Days, NaiveDate};

/// A seed task's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedStatus {
    /// Not started.
    Todo,
    /// Being worked on.
    InProgress,
    /// Waiting for something.
    Blocked,
    /// To be looked at.
    Review,
    /// Finished.
    Done,
    /// Given up.
    Cancelled,
}

impl SeedStatus {
    /// The hub's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Todo => "todo",
            Self::InProgress => "in_progress",
            Self::Blocked => "blocked",
            Self::Review => "review",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A seed task's priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedPriority {
    /// Drop everything.
    Critical,
    /// Soon.
    High,
    /// As usual.
    Medium,
    /// Some day.
    Low,
}

impl SeedPriority {
    /// The hub's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// One realistic task, of no tool in particular.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedTask {
    /// Title, at most 255 characters, unique within one call.
    pub title: String,
    /// Description in Markdown; may be empty.
    pub description_markdown: String,
    /// Status.
    pub status: SeedStatus,
    /// Priority.
    pub priority: SeedPriority,
    /// First day, never after `due`.
    pub start: Option<NaiveDate>,
    /// Last day.
    pub due: Option<NaiveDate>,
    /// Estimate, in minutes.
    pub estimate_minutes: Option<i64>,
    /// Percentage done.
    pub percentage_done: Option<i64>,
    /// Parent, as an index of an earlier task.
    pub parent: Option<usize>,
    /// Tags.
    pub tags: Vec<String>,
}

/// A small generator of numbers that look random and are the same everywhere (splitmix64).
#[derive(Debug, Clone)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        // The remainder is below `limit`, so it fits.
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).copied()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

const VERBS: &[&str] = &[
    "Fix",
    "Plan",
    "Review",
    "Write",
    "Ship",
    "Investigate",
    "Refactor",
    "Automate",
    "Document",
    "Measure",
    "Order",
    "Prüfen:",
    "Réviser",
    "設計:",
    "إصلاح",
    "Проверить",
];
const OBJECTS: &[&str] = &[
    "login page",
    "quarterly report",
    "backup restore",
    "onboarding checklist",
    "invoice export (CSV & PDF)",
    "search index",
    "naïve café menu",
    "Überstunden-Übersicht",
    "支払い画面",
    "صفحة الدفع",
    "release notes <draft>",
    "\"quoted\" labels",
    "emoji picker 🎉👩🏽‍💻",
    "mobile layout",
    "API rate limits",
    "garden irrigation",
];
const DETAILS: &[&str] = &[
    "for the pilot customer",
    "before the audit",
    "after migration",
    "in the staging area",
    "with the new vendor",
    "for Q3",
    "once more",
];

const DESCRIPTIONS: &[&str] = &[
    "",
    "Short and plain.",
    "First paragraph with **bold**, *italic*, ~~gone~~ and `code`.\n\nSecond paragraph with a [link](https://example.org/?a=1&b=2).",
    "## Steps\n\n1. Open the page\n2. Press *Save*\n   - nested\n   - list\n3. Look at the log\n",
    "- [ ] not yet\n- [x] done\n  - [ ] nested task\n",
    "| Item | Cost |\n|:-----|-----:|\n| Pump | 12,50 € |\n| Hose | 7,00 € |\n",
    "```rust\nfn main() {\n    println!(\"<b>not bold</b> & not escaped\");\n}\n```\n",
    "Text that looks like HTML: <b>bold?</b> &amp; &lt;script&gt;alert(1)&lt;/script&gt; a < b && b > c",
    "Windows line ends\r\nare kept\r\n\r\n* also here\r\n",
    "مرحبا بالعالم، هذا نص من اليمين إلى اليسار.\n\nשלום עולם — mixed with English 123.",
    "日本語の説明です。\n\n> 引用文\n\n絵文字も：🚀🧑‍🚀🇪🇺",
    "Trailing spaces make a break  \nlike this, and a tab:\tthere.\n\n---\n\nAfter the rule.",
    "Combining: e\u{301} is not é; a no-break\u{a0}space; a zero\u{200b}width space; \\*escaped\\* stars.",
    "> quoted\n>\n> > twice\n\nand an image ![alt](https://example.org/i.png \"title\")",
];

fn long_text(numbers: &mut Numbers) -> String {
    let mut text = String::from("# A long story\n");
    for paragraph in 0..40 + numbers.below(40) {
        text.push_str(&format!("\nParagraph {paragraph}: "));
        for _ in 0..30 {
            text.push_str(numbers.pick(OBJECTS).unwrap_or_default());
            text.push_str(", ");
        }
        text.push_str("and so on.\n");
    }
    text
}

/// `count` tasks, the same for the same `seed`.
#[must_use]
pub fn realistic(count: usize, seed: u64) -> Vec<SeedTask> {
    let mut numbers = Numbers(seed);
    (0..count).map(|index| task(index, &mut numbers)).collect()
}

fn task(index: usize, numbers: &mut Numbers) -> SeedTask {
    let mut title = format!(
        "{} {} {} #{index}",
        numbers.pick(VERBS).unwrap_or_default(),
        numbers.pick(OBJECTS).unwrap_or_default(),
        numbers.pick(DETAILS).unwrap_or_default(),
    );
    if numbers.one_in(50) {
        let room = 255 - title.chars().count();
        title.extend(std::iter::repeat_n('ß', room));
    }
    let description_markdown = if numbers.one_in(40) {
        long_text(numbers)
    } else {
        numbers.pick(DESCRIPTIONS).unwrap_or_default().to_owned()
    };
    let (start, due) = dates(numbers);
    SeedTask {
        title,
        description_markdown,
        status: status(numbers),
        priority: priority(numbers),
        start,
        due,
        estimate_minutes: numbers
            .pick(&[
                None,
                None,
                Some(30),
                Some(60),
                Some(90),
                Some(480),
                Some(2160),
                Some(6015),
            ])
            .flatten(),
        percentage_done: numbers.pick(&[None, Some(0), Some(10), Some(50), Some(80)]).flatten(),
        parent: (index > 3 && numbers.one_in(6)).then(|| numbers.below(index)),
        tags: ["home", "büro", "urgent!", "a b"]
            .iter()
            .filter(|_| numbers.one_in(5))
            .map(|tag| (*tag).to_owned())
            .collect(),
    }
}

fn dates(numbers: &mut Numbers) -> (Option<NaiveDate>, Option<NaiveDate>) {
    let first =
        NaiveDate::from_ymd_opt(2026, 1, 5).and_then(|day| day.checked_add_days(Days::new(numbers.below(500) as u64)));
    let last = first.and_then(|day| day.checked_add_days(Days::new(numbers.below(60) as u64)));
    match numbers.below(4) {
        0 => (None, None),
        1 => (None, last),
        2 => (first, None),
        _ => (first, last),
    }
}

fn status(numbers: &mut Numbers) -> SeedStatus {
    match numbers.below(12) {
        0..=4 => SeedStatus::Todo,
        5..=6 => SeedStatus::InProgress,
        7 => SeedStatus::Blocked,
        8 => SeedStatus::Review,
        9..=10 => SeedStatus::Done,
        _ => SeedStatus::Cancelled,
    }
}

fn priority(numbers: &mut Numbers) -> SeedPriority {
    match numbers.below(8) {
        0 => SeedPriority::Critical,
        1..=2 => SeedPriority::High,
        3..=6 => SeedPriority::Medium,
        _ => SeedPriority::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::realistic;

    #[test]
    fn the_same_seed_gives_the_same_tasks_and_another_seed_others() {
        assert_eq!(realistic(200, 7), realistic(200, 7));
        assert_ne!(realistic(200, 7), realistic(200, 8));
    }

    #[test]
    fn every_task_is_one_that_a_tool_accepts() {
        let tasks = realistic(1000, 1);
        let titles: std::collections::BTreeSet<_> = tasks.iter().map(|task| &task.title).collect();
        assert_eq!(titles.len(), tasks.len(), "titles are unique");
        for (index, task) in tasks.iter().enumerate() {
            assert!(!task.title.trim().is_empty() && task.title.chars().count() <= 255);
            assert!(task.parent.is_none_or(|parent| parent < index));
            assert!(task.start.zip(task.due).is_none_or(|(start, due)| start <= due));
        }
        assert!(tasks.iter().any(|task| task.description_markdown.contains("\r\n")));
        assert!(tasks.iter().any(|task| task.description_markdown.len() > 10_000));
    }
}
