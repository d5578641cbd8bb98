//! Joining: a key and a request made here, a certificate from the server, with a token as the only introduction.

use protocol::{Identity, ToAgent, ToServer};
use rcgen::{CertificateParams, KeyPair};

use super::session;
use crate::error::Error;
use crate::state::{Enrolment, State};
use crate::tls;
use crate::token::Token;

fn key(error: impl std::fmt::Display) -> Error {
    Error::Key(error.to_string())
}

/// A certificate request for a key in PEM.
pub(crate) fn request_for(key_pem: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(key_pem).map_err(key)?;
    let pair = KeyPair::from_pem(text).map_err(key)?;
    request(&pair)
}

fn request(pair: &KeyPair) -> Result<String, Error> {
    let mut params = CertificateParams::default();
    // The server names the agent; what the request says of itself is not read.
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(pair).map_err(key)?.pem().map_err(key)
}

/// Asks to join and gives the answer, with the server's address. A host that had joined this fleet before shows its key, which
/// proves that it is the same host; when the server does not take the certificate any more, it joins like a new one.
async fn introduce(token: &Token, state: &State, message: &ToServer) -> Result<(ToAgent, String), Error> {
    if let Some(config) = credentials(token, state) {
        match ask(config, token, message).await {
            Ok(answered) => return Ok(answered),
            Err(error) => tracing::info!(%error, "joining without the key from before"),
        }
    }
    ask(tls::stranger(&token.fingerprint)?, token, message).await
}

/// Key and certificate from before, where they are of the token's fleet.
fn credentials(token: &Token, state: &State) -> Option<rustls::ClientConfig> {
    let known = state.enrolment().ok().flatten()?;
    if known.ca_fingerprint != token.fingerprint {
        return None;
    }
    let read = |name| state.read(name).ok();
    tls::member(&read("agent.key")?, &read("agent.crt")?, &read("ca.crt")?).ok()
}

async fn ask(
    config: rustls::ClientConfig,
    token: &Token,
    message: &ToServer,
) -> Result<(ToAgent, String), Error> {
    let (mut stream, address) = session::connect(config, &token.addresses).await?;
    let unreachable = |error: String| Error::Unreachable {
        address: address.clone(),
        reason: error,
    };
    session::send(&mut stream, message)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let answer = session::receive(&mut stream)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    Ok((answer, address))
}

/// Joins and writes the enrolment into `state`.
pub(crate) async fn join(
    token: &Token,
    state: &State,
    identity: Identity,
    hostname: String,
    version: &str,
) -> Result<Enrolment, Error> {
    let pair = KeyPair::generate().map_err(key)?;
    let csr_pem = request(&pair)?;
    let message = ToServer::Join {
        protocol: protocol::PROTOCOL,
        token: token.secret.clone(),
        csr_pem,
        identity,
        hostname,
        agent_version: version.to_owned(),
    };
    let (answer, address) = introduce(token, state, &message).await?;
    let (agent_id, certificate_pem, ca_pem) = match answer {
        ToAgent::Joined {
            agent_id,
            certificate_pem,
            ca_pem,
        } => (agent_id, certificate_pem, ca_pem),
        ToAgent::Refused { reason } => return Err(Error::Refused(reason)),
        _ => {
            let reason = "it answered the join with something else".into();
            return Err(Error::Unreachable { address, reason });
        }
    };
    // Nothing is kept that would not work, or that leads to another authority than the token's.
    let key_pem = pair.serialize_pem();
    tls::member(key_pem.as_bytes(), certificate_pem.as_bytes(), ca_pem.as_bytes())?;
    let authorities = tls::certificates(ca_pem.as_bytes())?;
    if !authorities
        .iter()
        .any(|certificate| tls::fingerprint(certificate) == token.fingerprint)
    {
        return Err(Error::Tls(
            "the server gave another authority than the one in the token".into(),
        ));
    }
    let before = state.enrolment().ok().flatten();
    if before.is_some_and(|before| before.ca_fingerprint != token.fingerprint) {
        state.forget_fleet()?;
    }
    let enrolment = Enrolment {
        agent_id,
        servers: token.addresses.clone(),
        ca_fingerprint: token.fingerprint.clone(),
    };
    state.enrol(&enrolment, &key_pem, &certificate_pem, &ca_pem)?;
    tracing::info!(agent_id = enrolment.agent_id, server = address, "joined");
    Ok(enrolment)
}
