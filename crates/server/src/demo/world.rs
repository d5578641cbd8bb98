//! The made-up company: which hosts it has, what runs on them, and who talks to whom.

use std::net::Ipv4Addr;

use super::curve::Random;

/// A kind of host.
#[derive(Debug)]
pub struct Role {
    /// Hosts are named so and numbered.
    pub host: &'static str,
    pub count: u8,
    /// The service that it is there for.
    pub unit: &'static str,
    pub about: &'static str,
    pub port: u16,
    pub package: &'static str,
    pub version: &'static str,
    pub team: &'static str,
    pub cpus: u32,
    pub memory_gib: u64,
    /// Mean use of its processors, 0 to 1.
    pub load: f64,
    /// Mean bytes a second in and out.
    pub traffic: f64,
    /// Hosts by name (`*` for all of a role) that the service opens connections to.
    pub talks_to: &'static [&'static str],
    /// Has a certificate for the public.
    pub has_certificate: bool,
    /// Answers requests of the shop's customers.
    pub serves_shop: bool,
}

/// The service whose deploys go wrong.
pub const SHOP: &str = "shop-app";
pub const SHOP_GOOD: &str = "2.13.4";
pub const SHOP_BAD: &str = "2.14.0";

pub const TEAMS: [(&str, &str); 3] = [
    ("Web", "Everything between the customer and the shop"),
    ("Data", "Databases, queues, files and reports"),
    ("Payments", "Money, accounts and mail"),
];

const BASE: Role = Role {
    host: "",
    count: 0,
    unit: "",
    about: "",
    port: 0,
    package: "",
    version: "",
    team: "Web",
    cpus: 2,
    memory_gib: 8,
    load: 0.2,
    traffic: 2e6,
    talks_to: &[],
    has_certificate: false,
    serves_shop: false,
};

/// 40 hosts, 12 services.
pub const ROLES: &[Role] = &[
    Role {
        host: "lb",
        count: 2,
        unit: "haproxy",
        about: "HAProxy Load Balancer",
        port: 443,
        package: "haproxy",
        version: "2.6.12-1+deb12u2",
        load: 0.16,
        traffic: 2.4e7,
        talks_to: &["web-*"],
        has_certificate: true,
        serves_shop: true,
        ..BASE
    },
    Role {
        host: "web",
        count: 7,
        unit: "nginx",
        about: "A high performance web server and a reverse proxy server",
        port: 80,
        package: "nginx",
        version: "1.22.1-9+deb12u2",
        load: 0.18,
        traffic: 9e6,
        talks_to: &["app-*"],
        has_certificate: true,
        serves_shop: true,
        ..BASE
    },
    Role {
        host: "app",
        count: 8,
        unit: SHOP,
        about: "Shop application",
        port: 8080,
        package: SHOP,
        version: SHOP_GOOD,
        memory_gib: 16,
        load: 0.31,
        traffic: 6e6,
        talks_to: &[
            "shop-db-1",
            "cache-*",
            "queue-1",
            "search-*",
            "auth-*",
            "pay-*",
            "files-1",
            "mail-1",
        ],
        serves_shop: true,
        ..BASE
    },
    Role {
        host: "shop-db",
        count: 2,
        unit: "postgresql",
        about: "PostgreSQL RDBMS",
        port: 5432,
        package: "postgresql-15",
        version: "15.8-0+deb12u1",
        team: "Data",
        cpus: 4,
        memory_gib: 64,
        load: 0.34,
        traffic: 1.1e7,
        talks_to: &["shop-db-1"],
        ..BASE
    },
    Role {
        host: "cache",
        count: 3,
        unit: "redis-server",
        about: "Advanced key-value store",
        port: 6379,
        package: "redis-server",
        version: "5:7.0.15-1~deb12u1",
        memory_gib: 32,
        load: 0.14,
        traffic: 8e6,
        ..BASE
    },
    Role {
        host: "queue",
        count: 2,
        unit: "rabbitmq-server",
        about: "RabbitMQ Messaging Server",
        port: 5672,
        package: "rabbitmq-server",
        version: "3.10.8-1.1",
        team: "Data",
        load: 0.19,
        traffic: 3e6,
        ..BASE
    },
    Role {
        host: "search",
        count: 3,
        unit: "opensearch",
        about: "OpenSearch",
        port: 9200,
        package: "opensearch",
        version: "2.15.0",
        cpus: 4,
        memory_gib: 32,
        load: 0.28,
        traffic: 4e6,
        ..BASE
    },
    Role {
        host: "pay",
        count: 3,
        unit: "payments",
        about: "Payment gateway",
        port: 8090,
        package: "payments",
        version: "5.2.1",
        team: "Payments",
        load: 0.12,
        traffic: 1e6,
        talks_to: &["pay-db-1", "queue-1"],
        ..BASE
    },
    Role {
        host: "pay-db",
        count: 1,
        unit: "postgresql",
        about: "PostgreSQL RDBMS",
        port: 5432,
        package: "postgresql-15",
        version: "15.8-0+deb12u1",
        team: "Payments",
        memory_gib: 32,
        load: 0.16,
        traffic: 2e6,
        ..BASE
    },
    Role {
        host: "auth",
        count: 2,
        unit: "auth",
        about: "Sign-in and accounts",
        port: 8443,
        package: "auth",
        version: "3.7.0",
        team: "Payments",
        load: 0.15,
        traffic: 1.2e6,
        talks_to: &["pay-db-1", "cache-1"],
        has_certificate: true,
        ..BASE
    },
    Role {
        host: "mail",
        count: 2,
        unit: "postfix",
        about: "Postfix Mail Transport Agent",
        port: 25,
        package: "postfix",
        version: "3.7.11-0+deb12u1",
        team: "Payments",
        memory_gib: 4,
        load: 0.06,
        traffic: 4e5,
        ..BASE
    },
    Role {
        host: "reports",
        count: 3,
        unit: "reports",
        about: "Nightly reports and exports",
        port: 8070,
        package: "reports",
        version: "1.19.0",
        team: "Data",
        memory_gib: 16,
        load: 0.24,
        traffic: 2.5e6,
        talks_to: &["shop-db-2", "queue-1", "files-1"],
        ..BASE
    },
    Role {
        host: "files",
        count: 2,
        unit: "nfs-server",
        about: "NFS server and services",
        port: 2049,
        package: "nfs-kernel-server",
        version: "1:2.6.2-4+deb12u1",
        team: "Data",
        memory_gib: 16,
        load: 0.1,
        traffic: 1.4e7,
        ..BASE
    },
];

/// One made-up host.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// From 0, the same in every demonstration.
    pub index: u32,
    pub name: String,
    pub role: &'static Role,
    pub address: Ipv4Addr,
    /// How long before the start it was booted.
    pub up_days: f64,
}

/// All hosts, in the order of the roles.
pub fn hosts() -> Vec<HostSpec> {
    let mut all = Vec::new();
    for (subnet, role) in (1u8..).zip(ROLES) {
        for number in 1..=role.count {
            let index = all.len() as u32;
            all.push(HostSpec {
                index,
                name: format!("{}-{number}", role.host),
                role,
                address: Ipv4Addr::new(10, 20, subnet, 10 + number),
                up_days: Random::new(u64::from(index)).between(9.0, 95.0),
            });
        }
    }
    all
}

/// The hosts that `pattern` (a name, or `role-*`) stands for.
pub fn matching<'a>(all: &'a [HostSpec], pattern: &'a str) -> impl Iterator<Item = &'a HostSpec> {
    let role = pattern.strip_suffix("-*");
    all.iter().filter(move |host| match role {
        Some(role) => host.role.host == role,
        None => host.name == pattern,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn forty_hosts_and_twelve_services() {
        let all = hosts();
        assert_eq!(all.len(), 40);
        assert_eq!(
            ROLES.iter().map(|role| role.unit).collect::<BTreeSet<_>>().len(),
            12
        );
        assert_eq!(
            all.iter().map(|host| host.address).collect::<BTreeSet<_>>().len(),
            40
        );
        for role in ROLES {
            assert!(TEAMS.iter().any(|(team, _)| *team == role.team), "{}", role.team);
            for pattern in role.talks_to {
                assert!(
                    matching(&all, pattern).next().is_some(),
                    "{} talks to {pattern}",
                    role.host
                );
            }
        }
    }
}
