//! When a credential must be replaced.
//!
//! Days are civil days: a rotation is written as a date, without a time or zone, so nothing finer can be claimed. A
//! window counts in whole days, rounded down (never longer than documented); the day of the rotation itself is always
//! inside it, also of a window shorter than a day. `today` is the caller's, in UTC unless it says otherwise.

use jiff::civil::Date;

/// Last rotation, window and grace of one credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The day of the last rotation.
    pub last_rotation: Date,
    /// How long the credential may live, in days.
    pub window_days: i64,
    /// How long old and new are both valid during a rotation, in days.
    pub grace_days: i64,
}

/// Where a credential stands in its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Well inside the window.
    Current {
        /// Days left, today not counted.
        days_left: i64,
    },
    /// Inside the window and near its end.
    DueSoon {
        /// Days left, today not counted.
        days_left: i64,
    },
    /// Past the window and inside the grace period.
    InGrace {
        /// Days past the window.
        days_over: i64,
        /// Days of grace left, today not counted.
        days_left: i64,
    },
    /// Past window and grace.
    Overdue {
        /// Days past the window.
        days_over: i64,
    },
    /// The last rotation lies in the future.
    NotYet,
}

/// Days before the window's end from which any credential is due soon.
const SOON_DAYS: i64 = 14;

impl Schedule {
    /// Where the credential stands on `today`.
    pub fn standing(&self, today: Date) -> Standing {
        let age = days_between(self.last_rotation, today);
        if age < 0 {
            return Standing::NotYet;
        }
        let days_left = self.window_days.saturating_sub(age);
        if days_left >= 0 {
            return if self.is_soon(days_left) {
                Standing::DueSoon { days_left }
            } else {
                Standing::Current { days_left }
            };
        }
        let days_over = -days_left;
        if days_over <= self.grace_days {
            Standing::InGrace { days_over, days_left: self.grace_days - days_over }
        } else {
            Standing::Overdue { days_over }
        }
    }

    /// The last 14 days, or the last tenth of a long window, but never more than the second half of a short one: a
    /// credential that is rotated weekly would be due soon always.
    fn is_soon(&self, days_left: i64) -> bool {
        let lead = SOON_DAYS.max(self.window_days / 10);
        days_left <= lead.min(self.window_days / 2)
    }
}

fn days_between(from: Date, to: Date) -> i64 {
    // Whole days of the proleptic Gregorian calendar; no zone, so no day of 23 or 25 hours.
    from.duration_until(to).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn standing(window_days: i64, grace_days: i64, today: Date) -> Standing {
        Schedule { last_rotation: date(2026, 1, 1), window_days, grace_days }.standing(today)
    }

    #[test]
    fn the_windows_last_day_is_inside_and_the_next_is_not() {
        assert_eq!(standing(90, 0, date(2026, 4, 1)), Standing::DueSoon { days_left: 0 });
        assert_eq!(standing(90, 0, date(2026, 4, 2)), Standing::Overdue { days_over: 1 });
    }

    #[test]
    fn the_graces_last_day_is_inside_and_the_next_is_not() {
        assert_eq!(standing(90, 7, date(2026, 4, 2)), Standing::InGrace { days_over: 1, days_left: 6 });
        assert_eq!(standing(90, 7, date(2026, 4, 8)), Standing::InGrace { days_over: 7, days_left: 0 });
        assert_eq!(standing(90, 7, date(2026, 4, 9)), Standing::Overdue { days_over: 8 });
    }

    #[test]
    fn due_soon_starts_fourteen_days_before_the_end_or_at_the_last_tenth() {
        assert_eq!(standing(90, 0, date(2026, 3, 17)), Standing::Current { days_left: 15 });
        assert_eq!(standing(90, 0, date(2026, 3, 18)), Standing::DueSoon { days_left: 14 });
        assert_eq!(standing(365, 0, date(2026, 11, 25)), Standing::Current { days_left: 37 });
        assert_eq!(standing(365, 0, date(2026, 11, 26)), Standing::DueSoon { days_left: 36 });
        assert_eq!(standing(7, 0, date(2026, 1, 2)), Standing::Current { days_left: 6 });
        assert_eq!(standing(7, 0, date(2026, 1, 6)), Standing::DueSoon { days_left: 2 });
    }

    #[test]
    fn a_window_shorter_than_a_day_ends_with_the_day() {
        assert_eq!(standing(0, 0, date(2026, 1, 1)), Standing::DueSoon { days_left: 0 });
        assert_eq!(standing(0, 0, date(2026, 1, 2)), Standing::Overdue { days_over: 1 });
    }

    #[test]
    fn a_rotation_in_the_future_is_none() {
        assert_eq!(standing(90, 0, date(2025, 12, 31)), Standing::NotYet);
    }

    #[test]
    fn the_calendars_ends_do_not_overflow() {
        let schedule = Schedule { last_rotation: Date::MIN, window_days: i64::MAX, grace_days: i64::MAX };
        assert!(matches!(schedule.standing(Date::MAX), Standing::Current { .. }));
        let schedule = Schedule { last_rotation: Date::MIN, window_days: 0, grace_days: 0 };
        assert!(matches!(schedule.standing(Date::MAX), Standing::Overdue { .. }));
    }
}
