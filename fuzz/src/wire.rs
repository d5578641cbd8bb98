//! The frames between server and agent.

use std::collections::BTreeMap;

use protocol::{
    Action, AgentConfig, Batch, Body, Command, CommandState, Facts, Gap, Identity, LogLine, LogSource,
    Sample, SeriesDef, ServiceVerb, Stream, ToAgent, ToServer, UnitChange,
};

/// Decodes flag and body as a message of either side; what decodes encodes to what decodes to the same bytes.
pub fn protocol(data: &[u8]) {
    if let Some(Ok(length)) = data.first_chunk::<4>().map(|header| protocol::frame_len(*header)) {
        assert!(length >= 1 && length <= protocol::MAX_FRAME + 1);
    }
    round::<ToServer>(data);
    round::<ToAgent>(data);
}

fn round<T: serde::Serialize + serde::de::DeserializeOwned>(data: &[u8]) {
    let Ok(message) = protocol::decode::<T>(data) else {
        return;
    };
    let Ok(frame) = protocol::encode(&message) else {
        return;
    };
    let again = protocol::decode::<T>(&frame[4..]).expect("what was encoded decodes");
    // Bytes, not values: NaN is not equal to itself.
    assert!(
        frame == protocol::encode(&again).expect("it was encoded before"),
        "changed on the way"
    );
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = to_server().iter().map(body).collect();
    seeds.extend(to_agent().iter().map(body));
    seeds
}

/// What follows the length bytes.
fn body<T: serde::Serialize>(message: &T) -> Vec<u8> {
    protocol::encode(message).expect("a message encodes")[4..].to_vec()
}

fn to_server() -> Vec<ToServer> {
    let source = LogSource {
        kind: "journal".into(),
        name: "nginx.service".into(),
    };
    let line = LogLine {
        at_ms: 1,
        severity: Some(3),
        program: Some("nginx".into()),
        pid: Some(7),
        text: "failed".into(),
    };
    let define = vec![SeriesDef {
        id: 1,
        labels: vec![("__name__".into(), "node_load1".into())],
    }];
    let change = UnitChange {
        at_ms: 1,
        name: "nginx".into(),
        manager: "systemd".into(),
        state: "failed".into(),
        reason: None,
    };
    let gap = Gap {
        from_ms: 1,
        to_ms: 2,
        batches: 3,
        samples: 4,
        lines: 5,
        reason: "full".into(),
    };
    let batch = Batch {
        seq: 7,
        at_ms: 1,
        spooled: true,
        body: vec![
            Body::Metrics {
                epoch: 1,
                define,
                samples: vec![Sample(1, 1, 0.5), Sample(1, 2, f64::NAN)],
            },
            Body::Logs {
                source,
                lines: vec![line],
            },
            Body::Units {
                changes: vec![change],
            },
            Body::Facts(Box::new(Facts {
                hostname: "web-1".into(),
                ..Facts::default()
            })),
            Body::Gap(gap),
        ],
    };
    vec![
        ToServer::Hello {
            protocol: 1,
            agent_version: "0.1.0".into(),
            identity: Identity::default(),
            hostname: "web-1".into(),
            started_at_ms: 1,
            running: vec!["cmd_1".into()],
            now_ms: Some(1),
        },
        ToServer::Batch(batch),
        ToServer::Output {
            id: "cmd_1".into(),
            stream: Stream::Stderr,
            offset: 1,
            data: vec![b'x'; 600],
        },
        ToServer::Command {
            id: "cmd_1".into(),
            at_ms: 1,
            state: CommandState::Accepted,
        },
        ToServer::Pong {
            nonce: 9,
            now_ms: Some(1),
        },
    ]
}

fn to_agent() -> Vec<ToAgent> {
    let command = |action| Command {
        id: "cmd_1".into(),
        action,
        timeout_ms: 1000,
        output_cap_bytes: 1000,
        idempotent: true,
    };
    vec![
        ToAgent::Joined {
            agent_id: "agt_1".into(),
            certificate_pem: "c".into(),
            ca_pem: "a".into(),
        },
        ToAgent::Config(AgentConfig::default()),
        ToAgent::Ack { seq: u64::MAX },
        ToAgent::Dispatch(command(Action::Service {
            name: "nginx".into(),
            verb: ServiceVerb::Restart,
        })),
        ToAgent::Dispatch(command(Action::Script {
            interpreter: None,
            script: "echo hello\n".repeat(80),
            args: vec!["a".into()],
            env: BTreeMap::from([("A".into(), "b".into())]),
            user: None,
        })),
    ]
}
