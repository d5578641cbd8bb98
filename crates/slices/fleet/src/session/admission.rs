//! Connections that have not said who they are: places, shared fairly between addresses.
//!
//! The acceptor never waits for a place. While there are free ones everybody gets one; when there are none, the address with the most
//! connections gives up its oldest. So half-open connections from one address, however many, delay nobody from another one.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// A handshake that takes longer than this gives way to a new one from its own address.
const SLOW: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Admission {
    most: usize,
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    next: u64,
    total: usize,
    by_address: HashMap<IpAddr, VecDeque<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    since: Instant,
    cut: CancellationToken,
}

/// A place, free again when this is dropped. It may be taken away.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    address: IpAddr,
    id: u64,
    pub cut: CancellationToken,
}

impl Admission {
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            pending: Mutex::default(),
        }
    }

    /// A place for a connection from this address; `None` when its own address has taken too many.
    pub fn admit(self: &Arc<Self>, from: IpAddr, now: Instant) -> Option<Ticket> {
        let address = network_of(from);
        let mut pending = self.lock();
        if pending.total >= self.most && !pending.make_room(address, now) {
            return None;
        }
        pending.next += 1;
        pending.total += 1;
        let (id, cut) = (pending.next, CancellationToken::new());
        let waiting = Waiting {
            id,
            since: now,
            cut: cut.clone(),
        };
        pending.by_address.entry(address).or_default().push_back(waiting);
        Some(Ticket {
            admission: self.clone(),
            address,
            id,
            cut,
        })
    }

    pub fn count(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Takes the oldest place of the address that has the most. An address that has the most itself gives up only what is slow.
    fn make_room(&mut self, newcomer: IpAddr, now: Instant) -> bool {
        let own = self.by_address.get(&newcomer).map_or(0, VecDeque::len);
        let most = self.by_address.iter().max_by_key(|(_, list)| list.len());
        let Some((&heaviest, list)) = most else {
            return false;
        };
        let is_own = own >= list.len();
        let from = if is_own { newcomer } else { heaviest };
        let Some(oldest) = self.by_address.get(&from).and_then(VecDeque::front) else {
            return false;
        };
        if is_own && now.duration_since(oldest.since) < SLOW {
            return false;
        }
        oldest.cut.cancel();
        let id = oldest.id;
        self.remove(from, id);
        true
    }

    fn remove(&mut self, address: IpAddr, id: u64) {
        let Some(list) = self.by_address.get_mut(&address) else {
            return;
        };
        let before = list.len();
        list.retain(|waiting| waiting.id != id);
        self.total -= before - list.len();
        if list.is_empty() {
            self.by_address.remove(&address);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.lock().remove(self.address, self.id);
    }
}

/// One machine has a whole IPv6 network to choose addresses from.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn one_address_keeps_nobody_else_out() {
        let admission = Arc::new(Admission::new(10));
        let now = Instant::now();
        let flood: Vec<Ticket> = (0..10).filter_map(|_| admission.admit(address(1), now)).collect();
        assert_eq!(flood.len(), 10);
        assert!(
            admission.admit(address(1), now).is_none(),
            "its share is all there is"
        );
        let honest = admission.admit(address(2), now).unwrap();
        assert!(
            flood[0].cut.is_cancelled() && !flood[1].cut.is_cancelled(),
            "the oldest of the flood went"
        );
        assert!(!honest.cut.is_cancelled());
        assert_eq!(admission.count(), 10);
        // Others come too; whoever has one place keeps it while the flood has more.
        let others: Vec<Ticket> = (3..8).filter_map(|n| admission.admit(address(n), now)).collect();
        assert_eq!(others.len(), 5);
        assert!(
            others
                .iter()
                .chain([&honest])
                .all(|ticket| !ticket.cut.is_cancelled())
        );
        drop((flood, others, honest));
        assert_eq!(admission.count(), 0);
    }

    #[test]
    fn what_is_slow_gives_way_to_its_own_address() {
        let admission = Arc::new(Admission::new(2));
        let now = Instant::now();
        let first = admission.admit(address(1), now).unwrap();
        let _second = admission.admit(address(1), now).unwrap();
        assert!(admission.admit(address(1), now + SLOW / 2).is_none());
        assert!(admission.admit(address(1), now + SLOW).is_some());
        assert!(first.cut.is_cancelled());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), address(1));
    }
}
