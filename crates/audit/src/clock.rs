//! Time as the log sees it: the wall clock, and beside it a clock that nobody can set.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub wall_ns: i64,
    /// Nanoseconds since the machine was started, sleep included.
    pub since_boot_ns: u64,
    /// Which start of the machine; 0 where the system does not tell.
    pub boot: u64,
}

const SECOND_NS: i128 = 1_000_000_000;

impl Moment {
    /// The wall clock as a timestamp.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.wall_ns)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// How far the wall clock was moved between two moments, in nanoseconds; `None` within what a well-kept clock is
    /// corrected by: a second, and a thousandth of the time between.
    ///
    /// Across a start of the machine, only a clock that went backwards can be told.
    pub(crate) fn jump_since(self, earlier: Moment) -> Option<i64> {
        let wall = i128::from(self.wall_ns) - i128::from(earlier.wall_ns);
        let jump = if self.boot == earlier.boot && self.boot != 0 {
            let elapsed = i128::from(self.since_boot_ns) - i128::from(earlier.since_boot_ns);
            let jump = wall - elapsed;
            (elapsed < 0 || jump.abs() > SECOND_NS + elapsed / 1000).then_some(jump)
        } else {
            (wall < -SECOND_NS).then_some(wall)
        };
        jump.map(|jump| i64::try_from(jump).unwrap_or(if jump < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// Where the log takes the time from.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Moment;
}

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    boot: u64,
}

impl SystemClock {
    /// Asks once which start of the machine this is.
    pub fn new() -> Self {
        Self { boot: boot() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let wall = SystemTime::now();
        let wall_ns = match wall.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        };
        Moment { wall_ns, since_boot_ns: since_boot_ns(), boot: self.boot }
    }
}

#[cfg(target_os = "linux")]
fn since_boot_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(time.tv_nsec))
}

#[cfg(not(target_os = "linux"))]
fn since_boot_ns() -> u64 {
    0
}

/// The first half of the boot's random id; 0 where there is none.
#[cfg(target_os = "linux")]
fn boot() -> u64 {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn boot() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_seconds: i64, boot_seconds: u64, boot: u64) -> Moment {
        Moment { wall_ns: wall_seconds * 1_000_000_000, since_boot_ns: boot_seconds * 1_000_000_000, boot }
    }

    #[test]
    fn a_clock_that_was_set_is_told_from_one_that_is_corrected() {
        let second = 1_000_000_000;
        assert_eq!(at(110, 20, 1).jump_since(at(100, 10, 1)), None);
        assert_eq!(at(111, 20, 1).jump_since(at(100, 10, 1)), None);
        assert_eq!(at(3710, 20, 1).jump_since(at(100, 10, 1)), Some(3600 * second));
        assert_eq!(at(90, 20, 1).jump_since(at(100, 10, 1)), Some(-20 * second));
        assert_eq!(at(100 + 86_430, 86_410, 1).jump_since(at(100, 10, 1)), None, "30 s in a day are a correction");
        assert_eq!(at(100, 5, 1).jump_since(at(100, 10, 1)), Some(5 * second), "time since boot never goes back");
    }

    #[test]
    fn across_a_start_of_the_machine_only_backwards_is_told() {
        assert_eq!(at(99_999, 1, 2).jump_since(at(100, 10, 1)), None);
        assert_eq!(at(50, 1, 2).jump_since(at(100, 10, 1)), Some(-50_000_000_000));
        assert_eq!(at(50, 0, 0).jump_since(at(100, 0, 0)), Some(-50_000_000_000));
    }

    #[test]
    fn the_systems_clocks_agree_with_each_other() {
        let clock = SystemClock::new();
        let first = clock.now();
        assert_eq!(clock.now().jump_since(first), None);
    }
}
