//! How busy the database is.

use super::Db;

/// Connections of one pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolUse {
    pub name: &'static str,
    /// Open, in use or not.
    pub open: u32,
    pub in_use: u32,
    pub most: u32,
}

impl Db {
    pub fn pools(&self) -> [PoolUse; 2] {
        [("write", &self.writer), ("read", &self.reader)].map(|(name, pool)| {
            let open = pool.size();
            let idle = u32::try_from(pool.num_idle()).unwrap_or(0);
            PoolUse {
                name,
                open,
                in_use: open.saturating_sub(idle),
                most: pool.options().get_max_connections(),
            }
        })
    }
}
