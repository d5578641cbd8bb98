//! Admission of connections: a global bound, a share of it per client address, and eviction of idle ones when it is full.
//!
//! A listener asks [`Admission::admit`] for each connection and holds the [`Place`] as long as the connection lives. When the
//! global bound or the share of the address is reached, the connection that has been idle longest gives way, first among those
//! of the address with the most; a connection that works on a request is never evicted. Who opens thousands of connections
//! and says nothing therefore displaces only their own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// What one client counts as: its IPv4 address, or the /64 network of its IPv6 address, which one customer holds whole.
pub fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

/// The bounds.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub total: usize,
    /// Of one client.
    pub share: usize,
    /// Proxies, which speak for many clients: bounded by the total alone.
    pub exempt: Vec<IpAddr>,
}

/// Who is connected. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    bounds: Arc<Bounds>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Rises with every change; orders connections by how long they have been idle.
    turn: u64,
    connections: HashMap<u64, Connection>,
    per_client: HashMap<IpAddr, usize>,
}

struct Connection {
    client: IpAddr,
    /// Since which turn; `None` while a request is under way.
    idle_since: Option<u64>,
    evicted: CancellationToken,
}

impl Admission {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds: Arc::new(bounds),
            state: Arc::default(),
        }
    }

    /// A place for a connection from `address`, idle at first; `None` when nobody can give way.
    pub fn admit(&self, address: IpAddr) -> Option<Place> {
        let client = client_of(address);
        let mut state = self.lock();
        let of_client = state.per_client.get(&client).copied().unwrap_or(0);
        let is_exempt = self
            .bounds
            .exempt
            .iter()
            .any(|exempt| client_of(*exempt) == client);
        if !is_exempt && of_client >= self.bounds.share {
            state.evict(|other| other == client)?;
        } else if state.connections.len() >= self.bounds.total {
            match state.largest_idle() {
                // Where nobody else can give way, one of the largest client's neighbours must.
                Some(largest) => state.evict(|other| other == largest)?,
                None => state.evict_busy(client, &self.bounds.exempt)?,
            }
        }
        let id = state.next_turn();
        let evicted = CancellationToken::new();
        let connection = Connection {
            client,
            idle_since: Some(id),
            evicted: evicted.clone(),
        };
        state.connections.insert(id, connection);
        *state.per_client.entry(client).or_default() += 1;
        Some(Place {
            admission: self.clone(),
            id,
            evicted,
        })
    }

    /// How many are connected.
    pub fn count(&self) -> usize {
        self.lock().connections.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Of the clients that have an idle connection, the one with the most connections.
    fn largest_idle(&self) -> Option<IpAddr> {
        let idle = self.connections.values().filter(|one| one.idle_since.is_some());
        idle.map(|one| one.client)
            .max_by_key(|client| self.per_client.get(client).copied().unwrap_or(0))
    }

    /// Takes the longest idle connection of such a client out of the count and tells it to close.
    fn evict(&mut self, is_meant: impl Fn(IpAddr) -> bool) -> Option<()> {
        let meant = self.connections.iter().filter(|(_, one)| is_meant(one.client));
        let (id, _) = meant
            .filter_map(|(id, one)| Some((*id, one.idle_since?)))
            .min_by_key(|(_, since)| *since)?;
        self.remove(id)?.evicted.cancel();
        Some(())
    }

    /// Nobody is idle: the oldest connection of the client with the most gives way, when that has more than the newcomer would.
    fn evict_busy(&mut self, newcomer: IpAddr, exempt: &[IpAddr]) -> Option<()> {
        let own = self.per_client.get(&newcomer).copied().unwrap_or(0);
        let is_exempt = |client: IpAddr| exempt.iter().any(|one| client_of(*one) == client);
        let (count, largest) = self
            .per_client
            .iter()
            .filter(|(client, _)| !is_exempt(**client))
            .map(|(client, count)| (*count, *client))
            .max()?;
        if count <= own + 1 {
            return None;
        }
        let of_largest = self.connections.iter().filter(|(_, one)| one.client == largest);
        let id = of_largest.map(|(id, _)| *id).min()?;
        self.remove(id)?.evicted.cancel();
        Some(())
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if let Some(count) = self.per_client.get_mut(&connection.client) {
            *count -= 1;
            if *count == 0 {
                self.per_client.remove(&connection.client);
            }
        }
        Some(connection)
    }
}

/// The place of one connection, until it is dropped.
pub struct Place {
    admission: Admission,
    id: u64,
    evicted: CancellationToken,
}

impl Place {
    /// A request is under way from now on: the connection is not evicted.
    pub fn begin(&self) {
        self.set_idle(false);
    }

    /// No request is under way any more.
    pub fn end(&self) {
        self.set_idle(true);
    }

    /// Resolves when the connection has to give way to another.
    pub async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    fn set_idle(&self, is_idle: bool) {
        let mut state = self.admission.lock();
        let turn = state.next_turn();
        if let Some(connection) = state.connections.get_mut(&self.id) {
            connection.idle_since = is_idle.then_some(turn);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(total: usize, share: usize) -> Admission {
        Admission::new(Bounds {
            total,
            share,
            exempt: vec![ip("10.0.0.1")],
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_displaces_its_own_idle_connections() {
        let admission = admission(100, 2);
        let first = admission.admit(ip("192.0.2.1")).unwrap();
        let second = admission.admit(ip("192.0.2.1")).unwrap();
        let third = admission.admit(ip("192.0.2.1")).unwrap();
        assert!(first.evicted.is_cancelled() && !second.evicted.is_cancelled());
        second.begin();
        third.begin();
        assert!(admission.admit(ip("192.0.2.1")).is_none(), "both work");
        assert!(admission.admit(ip("192.0.2.2")).is_some());
        second.end();
        assert!(admission.admit(ip("192.0.2.1")).is_some());
        assert!(second.evicted.is_cancelled());
    }

    #[test]
    fn when_all_is_full_the_client_with_the_most_gives_way() {
        let admission = admission(5, 4);
        let own = admission.admit(ip("192.0.2.1")).unwrap();
        let flood: Vec<Place> = (0..4)
            .map(|_| admission.admit(ip("203.0.113.9")).unwrap())
            .collect();
        let other = admission.admit(ip("198.51.100.7")).unwrap();
        assert!(!own.evicted.is_cancelled() && !other.evicted.is_cancelled());
        assert!(flood[0].evicted.is_cancelled());
        assert_eq!(admission.count(), 5);
        drop((own, flood, other));
        assert_eq!(admission.count(), 0);
        assert!(admission.lock().per_client.is_empty());
    }

    #[test]
    fn a_proxy_has_no_share_and_a_network_is_one_client() {
        let admission = admission(10, 2);
        let places: Vec<_> = (0..10).map(|_| admission.admit(ip("10.0.0.1"))).collect();
        assert!(places.iter().flatten().all(|place| !place.evicted.is_cancelled()));
        assert_eq!(
            client_of(ip("2001:db8:1:2::77")),
            client_of(ip("2001:db8:1:2:9::1"))
        );
        assert_ne!(
            client_of(ip("2001:db8:1:3::77")),
            client_of(ip("2001:db8:1:2::77"))
        );
        assert_eq!(client_of(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }
}
