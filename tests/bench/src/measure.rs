//! Rounds that alternate, medians, and the line that says how it came out.

/// What a ratio, or a number, should be.
#[derive(Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
    Above(f64),
}

impl Goal {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Above(bound) => value > bound,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "at most {bound}"),
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
            Self::Above(bound) => write!(f, "above {bound}"),
        }
    }
}

/// What each round measured, in one unit for both sides.
#[derive(Default)]
pub struct Rounds {
    pub ours: Vec<f64>,
    pub reference: Vec<f64>,
}

/// Measure both sides once in each round. Who begins alternates, so that neither always meets the other's leftovers.
pub fn rounds(count: usize, mut ours: impl FnMut() -> f64, mut reference: impl FnMut() -> f64) -> Rounds {
    let mut rounds = Rounds::default();
    for round in 0..count {
        if round % 2 == 0 {
            rounds.ours.push(ours());
            rounds.reference.push(reference());
        } else {
            rounds.reference.push(reference());
            rounds.ours.push(ours());
        }
    }
    rounds
}

/// The value in the middle; the mean of the two where there are two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[middle - 1], sorted[middle]) } else { sorted[middle] }
}

/// Prints results and counts missed goals.
#[derive(Default)]
pub struct Report {
    pub missed: usize,
}

impl Report {
    /// One ratio: the median of the rounds' ratios, because a disk or a neighbour that is slow for a while is so for
    /// both sides of a round. Without a goal it is for information.
    pub fn ratio(&mut self, name: &str, unit: &str, rounds: &Rounds, goal: Option<Goal>) {
        let (ours, reference) = (median(&rounds.ours), median(&rounds.reference));
        let each: Vec<_> =
            rounds.ours.iter().zip(&rounds.reference).map(|(ours, reference)| ours / reference).collect();
        let ratio = median(&each);
        let judged = match goal {
            Some(goal) => format!("goal {goal}{}", self.verdict(goal, ratio)),
            None => "no goal".into(),
        };
        let (ours, reference, ratio) = (number(ours), number(reference), number(ratio));
        println!("{name}: ours {ours} {unit}, reference {reference} {unit}, ratio {ratio} ({judged})");
        println!(
            "  {} rounds: ours {}, reference {}, ratio {}",
            each.len(),
            spread(&rounds.ours),
            spread(&rounds.reference),
            spread(&each)
        );
    }

    /// One number that stands for itself.
    pub fn number(&mut self, name: &str, unit: &str, value: f64, goal: Goal) {
        println!("{name}: {} {unit} (goal {goal} {unit}{})", number(value), self.verdict(goal, value));
    }

    fn verdict(&mut self, goal: Goal, value: f64) -> &'static str {
        if goal.met(value) {
            return "";
        }
        self.missed += 1;
        ", MISSED"
    }
}

/// Least to greatest.
pub fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} to {}", number(least), number(greatest))
}

/// Three significant digits, or all before the point.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn goals() {
        assert!(Goal::AtMost(1.2).met(1.2) && !Goal::AtMost(1.2).met(1.21));
        assert!(Goal::AtLeast(0.9).met(0.9) && !Goal::AtLeast(0.9).met(0.89));
        assert!(Goal::Above(1.0).met(1.01) && !Goal::Above(1.0).met(1.0));
    }

    #[test]
    fn missed_goals_are_counted() {
        let mut report = Report::default();
        let rounds = rounds(3, || 2.0, || 1.0);
        report.ratio("a", "s", &rounds, Some(Goal::AtMost(1.5)));
        report.ratio("b", "s", &rounds, Some(Goal::AtMost(2.0)));
        report.ratio("c", "s", &rounds, None);
        assert_eq!(report.missed, 1);
    }
}
