//! Tables by a hash that is fast, and seeded anew in each process.

use foldhash::fast::RandomState;

pub(super) type Map<K, V> = std::collections::HashMap<K, V, RandomState>;
pub(super) type Set<K> = std::collections::HashSet<K, RandomState>;
