//! What waits to be written to one link: headers and small payloads in one buffer, large payloads
//! as they are, all of it in few vectored writes.

use std::{collections::VecDeque, io, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Payloads below this are copied next to their header: a copy costs less than another slice.
pub(crate) const SMALL: usize = 512;
/// Slices handed to one write.
const SLICES: usize = 64;
/// Room reserved for headers and encoded payloads of one batch.
const ROOM: usize = 64 * 1024;

/// Bytes in the order of the wire.
#[derive(Debug, Default)]
pub(crate) struct Output {
    sealed: VecDeque<Bytes>,
    /// Comes after everything sealed.
    open: BytesMut,
}

impl Output {
    /// The buffer that the next header and small payload belong in.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        if self.open.capacity() == 0 {
            // Takes the last batch's memory back if that was written.
            self.open.reserve(ROOM);
        }
        &mut self.open
    }

    /// Adds a payload: copied when small, else as it is.
    pub(crate) fn payload(&mut self, payload: Bytes) {
        if payload.len() < SMALL {
            self.buffer().extend_from_slice(&payload);
        } else {
            self.seal();
            self.sealed.push_back(payload);
        }
    }

    /// Whether everything was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.is_empty()
    }

    /// Writes once and returns how much went; nothing is left when [`Output::is_empty`] says so.
    ///
    /// Cancel safe.
    pub(crate) async fn write_some<W>(&mut self, writer: &mut W) -> io::Result<usize>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        self.seal();
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.sealed) {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        let slices = slices.get(..used).unwrap_or_default();
        let written = match slices {
            [] => return Ok(0),
            [one] => writer.write(one).await?,
            many => writer.write_vectored(many).await?,
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(written)
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            let bytes = self.open.split().freeze();
            self.sealed.push_back(bytes);
        }
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(front) = self.sealed.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written = written.saturating_sub(front.len());
            self.sealed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn bytes_leave_in_the_order_they_came() {
        let (mut near, mut far) = tokio::io::duplex(100);
        let mut expected = Vec::new();
        let mut output = Output::default();
        for round in 0..200u32 {
            let header = round.to_le_bytes();
            let payload = Bytes::from(vec![round as u8; (round as usize * 37) % 1500]);
            output.buffer().extend_from_slice(&header);
            output.payload(payload.clone());
            expected.extend_from_slice(&header);
            expected.extend_from_slice(&payload);
        }
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.expect("read");
            all
        });
        while !output.is_empty() {
            output.write_some(&mut near).await.expect("written");
        }
        drop(near);
        assert_eq!(reading.await.expect("no panic"), expected);
    }

    #[tokio::test]
    async fn a_written_batch_leaves_its_memory_to_the_next() {
        let mut output = Output::default();
        let mut sink = tokio::io::sink();
        output.buffer().extend_from_slice(&[1; 100]);
        let first = output.buffer().as_ptr();
        while !output.is_empty() {
            output.write_some(&mut sink).await.expect("written");
        }
        let mut reused = false;
        for _ in 0..ROOM / 100 + 2 {
            output.buffer().extend_from_slice(&[2; 100]);
            reused |= output.buffer().as_ptr() == first;
            while !output.is_empty() {
                output.write_some(&mut sink).await.expect("written");
            }
        }
        assert!(reused);
    }
}
