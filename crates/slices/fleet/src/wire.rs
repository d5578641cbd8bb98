//! Frames over a stream: the protocol's framing with limits, nothing of its meaning.

use protocol::CodecError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The next message. `None` at the end of the stream. A message of an unknown kind is `Some(Err)`: it is skipped.
pub async fn read<T: DeserializeOwned, R: AsyncRead + Unpin>(
    reader: &mut R,
    limit: usize,
) -> Result<Option<Result<T, CodecError>>, WireError> {
    let mut header = [0; 4];
    match reader.read_exact(&mut header).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let length = protocol::frame_len(header)?;
    if length > limit {
        return Err(CodecError::TooLarge(length).into());
    }
    // The buffer grows with what comes in, so that a header alone takes no memory.
    let mut body = Vec::with_capacity(length.min(64 * 1024));
    let mut rest = reader.take(length as u64);
    rest.read_to_end(&mut body).await?;
    if body.len() < length {
        return Ok(None);
    }
    match protocol::decode(&body) {
        Ok(message) => Ok(Some(Ok(message))),
        Err(error @ CodecError::Decode(_)) => Ok(Some(Err(error))),
        Err(error) => Err(error.into()),
    }
}

pub async fn write<T: Serialize, W: AsyncWrite + Unpin>(
    writer: &mut W,
    message: &T,
) -> Result<(), WireError> {
    let frame = protocol::encode(message)?;
    writer.write_all(&frame).await?;
    writer.flush().await?;
    Ok(())
}
