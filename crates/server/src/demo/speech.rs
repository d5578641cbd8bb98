//! What made-up services write into their logs.

use protocol::{Body, LogLine, LogSource};

use super::curve::Random;
use super::host::Host;
use super::world::{SHOP, SHOP_BAD};

/// How things stand for a service that is about to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mood {
    /// Share of requests that fail.
    pub error_share: f64,
    /// The database of the shop does not answer.
    pub is_without_database: bool,
    /// The release of the shop application that does not work.
    pub bad_release: Option<&'static str>,
    pub is_disk_full: bool,
}

impl Mood {
    pub fn of(host: &Host, is_without_database: bool) -> Self {
        let state = host.lock();
        Self {
            error_share: state.error_share,
            is_without_database: is_without_database && host.spec.role.unit == SHOP,
            bad_release: (state.version == SHOP_BAD).then_some(SHOP_BAD),
            is_disk_full: state.filled > 0.0,
        }
    }
}

/// Unit, severity, text.
pub type Said = (&'static str, u8, String);

const PATHS: [&str; 7] = [
    "/",
    "/cart",
    "/checkout",
    "/products/4711",
    "/search?q=tent",
    "/account",
    "/api/stock",
];

/// Something that the host's own service says in good or bad times.
pub fn own_line(host: &Host, mood: Mood, random: &mut Random) -> Said {
    let unit = host.spec.role.unit;
    if mood.is_disk_full && random.unit() < 0.7 {
        return (
            unit,
            3,
            "write /var/lib/data/spool.dat: no space left on device".into(),
        );
    }
    if unit == SHOP {
        return shop_line(mood, random);
    }
    if mood.error_share > 0.0 && random.unit() < mood.error_share {
        let path = random.pick(&PATHS);
        return (
            unit,
            4,
            format!(
                "upstream answered 502 for GET {path} after 3.{:03} s",
                random.below(1000)
            ),
        );
    }
    (unit, 6, calm_line(host, unit, random))
}

fn calm_line(host: &Host, unit: &str, random: &mut Random) -> String {
    let client = format!("198.51.100.{}", 1 + random.below(250));
    match unit {
        "haproxy" | "nginx" => {
            let (path, bytes) = (random.pick(&PATHS), 300 + random.below(40_000));
            format!(
                "{client} \"GET {path} HTTP/1.1\" 200 {bytes} 0.{:03}",
                4 + random.below(180)
            )
        }
        "postgresql" => match random.below(3) {
            0 => format!(
                "checkpoint complete: wrote {} buffers; write=4.{} s, sync=0.01 s",
                80 + random.below(900),
                random.below(9)
            ),
            1 => format!(
                "automatic vacuum of table \"shop.public.orders\": {} tuples removed",
                random.below(4000)
            ),
            _ => format!(
                "connection authorized: user=shop database=shop host=10.20.3.{}",
                11 + random.below(8)
            ),
        },
        "redis-server" => format!(
            "{} changes in 60 seconds. Saving... DB saved on disk",
            1000 + random.below(9000)
        ),
        "rabbitmq-server" => format!(
            "queue orders: {} messages ready, {} consumers",
            random.below(40),
            8
        ),
        "opensearch" => format!(
            "[{}] refresh of products took {} ms",
            host.spec.name,
            12 + random.below(90)
        ),
        "payments" => format!(
            "charge pay_{:08x} authorised in {} ms",
            random.bits() as u32,
            90 + random.below(300)
        ),
        "auth" => format!(
            "session opened for customer {} from {client}",
            10_000 + random.below(80_000)
        ),
        "postfix" => format!(
            "{:010X}: to=<customer@example.org>, delay=0.{}, status=sent (250 2.0.0 Ok)",
            random.bits() >> 24,
            random.below(90)
        ),
        "reports" => format!(
            "export orders-{}.csv written: {} rows",
            1 + random.below(28),
            1000 + random.below(90_000)
        ),
        _ => format!(
            "{} clients, {} operations in the last minute",
            4 + random.below(20),
            random.below(30_000)
        ),
    }
}

fn shop_line(mood: Mood, random: &mut Random) -> Said {
    let order = 700_000 + random.below(90_000);
    if mood.is_without_database && random.unit() < 0.8 {
        let text = match random.below(2) {
            0 => "could not connect to shop-db-1:5432: connection refused".to_owned(),
            _ => format!("request failed: GET /checkout: database unavailable (order {order})"),
        };
        return (SHOP, 3, text);
    }
    if let Some(release) = mood.bad_release
        && random.unit() < 0.6
    {
        let text = match random.below(2) {
            0 => {
                format!("panic in checkout/price.go:118: nil discount for order {order} (release {release})")
            }
            _ => format!("request failed: POST /checkout: 500 internal error (order {order})"),
        };
        return (SHOP, 3, text);
    }
    match random.below(20) {
        0 => (
            SHOP,
            4,
            format!(
                "slow query: 1.{:03} s for orders by customer {}",
                random.below(900),
                10_000 + random.below(90_000)
            ),
        ),
        1 => (
            SHOP,
            5,
            format!(
                "stock of product {} is low: {} left",
                4000 + random.below(900),
                1 + random.below(5)
            ),
        ),
        _ => (
            SHOP,
            6,
            format!(
                "order {order} placed: {} items, {}.{:02} EUR",
                1 + random.below(6),
                9 + random.below(400),
                random.below(100)
            ),
        ),
    }
}

/// Something that any host says now and then.
pub fn common_line(random: &mut Random) -> Said {
    match random.below(4) {
        0 => (
            "cron",
            6,
            "(root) CMD (test -x /usr/sbin/anacron || run-parts --report /etc/cron.hourly)".into(),
        ),
        1 => (
            "ssh",
            6,
            format!(
                "Accepted publickey for deploy from 10.20.250.7 port {}",
                40_000 + random.below(20_000)
            ),
        ),
        2 => (
            "ssh",
            5,
            format!(
                "Invalid user admin from 203.0.113.{} port {}",
                random.below(250),
                30_000 + random.below(9000)
            ),
        ),
        _ => (
            "chrony",
            6,
            format!(
                "Selected source 192.0.2.{} (time.example.org)",
                1 + random.below(4)
            ),
        ),
    }
}

/// Who killed a service, as `sudo` writes it down.
pub fn killer_line(name: &str, reason: Option<&str>) -> Option<Said> {
    let command = format!("/usr/bin/systemctl kill --signal=KILL {name}.service");
    let text = format!("deploy : TTY=pts/0 ; PWD=/srv/deploy ; USER=root ; COMMAND={command}");
    (reason == Some("signal 9")).then_some(("sudo", 5, text))
}

/// What a service manager says of a change.
pub fn manager_line(name: &str, state: &str, reason: Option<&str>) -> Said {
    let (severity, text) = match state {
        "active" => (6, format!("Started {name}.service.")),
        "failed" => (
            3,
            format!(
                "{name}.service: Failed with result '{}'.",
                reason.unwrap_or("exit-code")
            ),
        ),
        _ => (6, format!("Stopped {name}.service.")),
    };
    ("init.scope", severity, text)
}

/// Lines as one body per unit.
pub fn bodies(said: Vec<Said>, at_ms: i64) -> Vec<Body> {
    let mut bodies: Vec<Body> = Vec::new();
    for (unit, severity, text) in said {
        let line = LogLine {
            at_ms,
            severity: Some(severity),
            program: Some(unit.to_owned()),
            pid: None,
            text,
        };
        let name = format!("{unit}.service");
        let same = bodies.iter_mut().find_map(|body| match body {
            Body::Logs { source, lines } if source.name == name => Some(lines),
            _ => None,
        });
        match same {
            Some(lines) => lines.push(line),
            None => {
                bodies.push(Body::Logs {
                    source: LogSource {
                        kind: "journal".into(),
                        name,
                    },
                    lines: vec![line],
                });
            }
        }
    }
    bodies
}
