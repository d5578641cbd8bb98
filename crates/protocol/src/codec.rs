//! Framing: length, flag, body. Pure functions over byte slices; sockets are the caller's.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest frame that either side takes, after decompression too.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;

/// Bodies from this size on are compressed.
const COMPRESS_FROM: usize = 512;

const HEADER: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("a frame of {0} bytes is larger than the {MAX_FRAME} that are allowed")]
    TooLarge(usize),
    #[error("a frame is shorter than its header says")]
    Short,
    #[error("unknown frame flag {0}")]
    Flag(u8),
    #[error("a compressed frame does not decompress: {0}")]
    Compression(#[from] snap::Error),
    #[error("a frame does not encode: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("a frame does not decode: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
}

/// One message as a whole frame, header and all.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    let body = rmp_serde::to_vec_named(message)?;
    if body.len() > MAX_FRAME {
        return Err(CodecError::TooLarge(body.len()));
    }
    let (flag, body) = if body.len() >= COMPRESS_FROM {
        (1, snap::raw::Encoder::new().compress_vec(&body)?)
    } else {
        (0, body)
    };
    let mut frame = Vec::with_capacity(HEADER + body.len());
    let length = u32::try_from(body.len() + 1).map_err(|_| CodecError::TooLarge(body.len()))?;
    frame.extend_from_slice(&length.to_be_bytes());
    frame.push(flag);
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// How many bytes follow the 4 length bytes (flag and body).
pub fn frame_len(header: [u8; 4]) -> Result<usize, CodecError> {
    let length = u32::from_be_bytes(header) as usize;
    match length {
        0 => Err(CodecError::Short),
        n if n > MAX_FRAME + 1 => Err(CodecError::TooLarge(n)),
        n => Ok(n),
    }
}

/// The message in what followed the 4 length bytes.
pub fn decode<T: DeserializeOwned>(flag_and_body: &[u8]) -> Result<T, CodecError> {
    let (flag, body) = flag_and_body.split_first().ok_or(CodecError::Short)?;
    match flag {
        0 => Ok(rmp_serde::from_slice(body)?),
        1 => {
            let size = snap::raw::decompress_len(body)?;
            if size > MAX_FRAME {
                return Err(CodecError::TooLarge(size));
            }
            Ok(rmp_serde::from_slice(
                &snap::raw::Decoder::new().decompress_vec(body)?,
            )?)
        }
        other => Err(CodecError::Flag(*other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Sample, SeriesDef, Stream, ToAgent, ToServer};

    fn round_trip(message: &ToServer) {
        let frame = encode(message).unwrap();
        let header: [u8; 4] = frame[..4].try_into().unwrap();
        assert_eq!(frame_len(header).unwrap(), frame.len() - 4);
        assert_eq!(&decode::<ToServer>(&frame[4..]).unwrap(), message);
    }

    #[test]
    fn messages_survive_the_wire() {
        round_trip(&ToServer::Pong {
            nonce: 7,
            now_ms: Some(1),
        });
        round_trip(&ToServer::Output {
            id: "cmd_1".into(),
            stream: Stream::Stderr,
            offset: 3,
            data: vec![0, 255, 10],
        });
        let define = vec![SeriesDef {
            id: 1,
            labels: vec![("__name__".into(), "node_load1".into())],
        }];
        let samples = (0..2000).map(|i| Sample(1, i, 0.5)).collect();
        round_trip(&ToServer::Batch(crate::Batch {
            seq: 9,
            at_ms: 5,
            spooled: false,
            body: vec![Body::Metrics {
                epoch: 1,
                define,
                samples,
            }],
        }));
    }

    #[test]
    fn bad_frames_are_refused() {
        assert!(matches!(
            frame_len([255, 255, 255, 255]),
            Err(CodecError::TooLarge(_))
        ));
        assert!(matches!(frame_len([0, 0, 0, 0]), Err(CodecError::Short)));
        assert!(matches!(decode::<ToAgent>(&[9, 1]), Err(CodecError::Flag(9))));
        assert!(decode::<ToAgent>(&[0, 0xc1]).is_err());
        // A header that claims a huge decompressed size must be refused before memory is taken.
        assert!(matches!(
            decode::<ToAgent>(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            Err(CodecError::TooLarge(_))
        ));
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_kinds_are_errors() {
        let newer = serde_json::json!({ "ping": { "nonce": 4, "hint": "later" } });
        let frame = encode(&newer).unwrap();
        assert_eq!(
            decode::<ToAgent>(&frame[4..]).unwrap(),
            ToAgent::Ping { nonce: 4 }
        );
        let frame = encode(&serde_json::json!({ "teleport": { "nonce": 4 } })).unwrap();
        assert!(matches!(
            decode::<ToAgent>(&frame[4..]),
            Err(CodecError::Decode(_))
        ));
    }
}
