//! One stream's file: batches written at their offsets, off the async threads.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::dir::{Claim, Identity, Pool, blocking};
use super::{Sink, SinkError};

/// Chunks below this are gathered: one copy costs less than a system call for each.
const SMALL: usize = 16 << 10;

/// Writes the exact bytes of a stream to a file, at the stream's offsets.
#[derive(Debug)]
pub(crate) struct FileSink {
    claim: Arc<Claim>,
    identity: Identity,
    pool: Arc<Pool>,
    file: Option<File>,
    keep: Option<OwnedSemaphorePermit>,
    offset: u64,
    dropped: u64,
}

impl FileSink {
    /// A sink for a file that was just made and is empty.
    pub(crate) fn new(claim: Claim, file: File, identity: Identity, pool: Arc<Pool>) -> Self {
        let keep = Arc::clone(&pool.kept).try_acquire_owned().ok();
        Self {
            claim: Arc::new(claim),
            identity,
            pool,
            file: keep.is_some().then_some(file),
            keep,
            offset: 0,
            dropped: 0,
        }
    }

    /// Where it writes, for people.
    pub(crate) fn path(&self) -> PathBuf {
        self.claim.path()
    }

    /// Runs `work` on the file, which is opened again if it could not be kept open. Cancelled, the
    /// work still completes.
    async fn on_file(
        &mut self,
        work: impl FnOnce(&File) -> io::Result<()> + Send + 'static,
    ) -> Result<(), SinkError> {
        if self.keep.is_none() {
            self.keep = Arc::clone(&self.pool.kept).try_acquire_owned().ok();
        }
        let (file, stays) = (self.file.take(), self.keep.is_some());
        let (claim, identity) = (Arc::clone(&self.claim), self.identity);
        // Semaphores that are never closed; without a permit the work is only less bounded.
        let _share = self.claim.turns().acquire().await.ok();
        let _turn = self.pool.turns.acquire().await.ok();
        let done = blocking(move || {
            let file = match file {
                Some(file) => file,
                None => claim.reopen(identity)?,
            };
            work(&file)?;
            Ok(stays.then_some(file))
        });
        self.file = done.await.map_err(|e| self.error(&e))?;
        Ok(())
    }

    fn error(&self, error: &io::Error) -> SinkError {
        SinkError::new(self.path().display().to_string(), error)
    }
}

impl Sink for FileSink {
    async fn write(&mut self, offset: u64, data: &mut Vec<Bytes>) -> Result<(), SinkError> {
        let batch = std::mem::take(data);
        let size: usize = batch.iter().map(Bytes::len).sum();
        self.on_file(move |file| {
            write_batch(file, offset, &batch).inspect_err(|_| {
                // A file whose disk is full ends where its acknowledged bytes end.
                let _ = file.set_len(offset);
            })
        })
        .await?;
        self.offset = offset + size as u64;
        Ok(())
    }

    async fn gap(&mut self, offset: u64, dropped: u64) -> Result<(), SinkError> {
        let missing = dropped.saturating_sub(self.dropped);
        self.dropped = dropped;
        let claim = Arc::clone(&self.claim);
        let line = format!("{{\"offset\":{offset},\"dropped\":{missing}}}\n");
        let _share = self.claim.turns().acquire().await.ok();
        let _turn = self.pool.turns.acquire().await.ok();
        blocking(move || claim.gaps()?.write_all(line.as_bytes())).await.map_err(|e| self.error(&e))
    }

    async fn sync(&mut self) -> Result<(), SinkError> {
        self.on_file(File::sync_data).await
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        self.file = None;
        self.keep = None;
        Ok(())
    }

    async fn fail(&mut self, _reason: &str) {
        self.file = None;
        self.keep = None;
    }

    fn offset(&self) -> u64 {
        self.offset
    }
}

fn write_batch(file: &File, mut at: u64, batch: &[Bytes]) -> io::Result<()> {
    let mut gathered = Vec::new();
    let mut put = |data: &[u8]| {
        file.write_all_at(data, at)?;
        at += data.len() as u64;
        io::Result::Ok(())
    };
    for chunk in batch {
        let small = chunk.len() < SMALL;
        if !gathered.is_empty() && (!small || gathered.len() + chunk.len() > 4 * SMALL) {
            put(&gathered)?;
            gathered.clear();
        }
        if small {
            gathered.extend_from_slice(chunk);
        } else {
            put(chunk)?;
        }
    }
    if gathered.is_empty() { Ok(()) } else { put(&gathered) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::super::dir::Dir;
    use super::super::error::Problem;
    use super::super::escape::tests::hostile_names;
    use super::super::{Ack, StreamInfo};
    use super::*;

    fn stream(session: &str, name: &str) -> StreamInfo {
        StreamInfo { session: session.into(), label: 1, name: name.into(), metadata: Vec::new() }
    }

    async fn open(path: &Path) -> Dir {
        Dir::open(path.join("out"), Ack::Written).await.expect("a directory")
    }

    async fn write(sink: &mut FileSink, text: &[u8]) -> Result<(), SinkError> {
        let at = sink.offset();
        sink.write(at, &mut vec![Bytes::copy_from_slice(text)]).await
    }

    #[tokio::test]
    async fn bytes_arrive_exactly_in_a_private_file() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let mut sink = dir.create(&stream("s", "app")).await.expect("made");
        let chunks = [&b"small"[..], &[7; SMALL], b"", &[8; SMALL - 1], &[9; 4 * SMALL], b"end"];
        let mut batch = chunks.map(Bytes::copy_from_slice).to_vec();
        sink.write(0, &mut batch).await.expect("written");
        write(&mut sink, b"more").await.expect("written");
        sink.sync().await.expect("synced");
        sink.finish().await.expect("finished");
        let path = temp.path().join("out/s/app");
        let mut expected = chunks.concat();
        expected.extend_from_slice(b"more");
        assert_eq!(sink.offset(), expected.len() as u64);
        assert_eq!(std::fs::read(&path).expect("file"), expected);
        let mode = |path: &Path| path.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&temp.path().join("out/s")), 0o700);
        assert_eq!(mode(&temp.path().join("out")), 0o700);
    }

    #[tokio::test]
    async fn streams_of_one_name_are_numbered_and_nothing_is_overwritten() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        for (session, expected) in [("s", "app"), ("s", "app~2"), ("t", "app"), ("s", "app~3")] {
            let mut sink = dir.create(&stream(session, "app")).await.expect("made");
            write(&mut sink, expected.as_bytes()).await.expect("written");
            assert_eq!(sink.path(), temp.path().join("out").join(session).join(expected));
        }
        let again = open(temp.path()).await;
        let sink = again.create(&stream("s", "app")).await.expect("made");
        assert!(sink.path().ends_with("s/app~4"));
        let kept = std::fs::read(temp.path().join("out/s/app~2")).expect("file");
        assert_eq!(kept, b"app~2");
    }

    #[tokio::test]
    async fn the_name_of_a_file_that_is_being_written_is_nobody_elses_though_it_is_removed() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let first = dir.create(&stream("s", "app")).await.expect("made");
        std::fs::remove_file(first.path()).expect("removed");
        let second = dir.create(&stream("s", "app")).await.expect("made");
        assert!(second.path().ends_with("s/app~2"), "{:?}", second.path());
    }

    #[tokio::test]
    async fn a_stream_that_is_over_leaves_no_name_behind() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let kept = dir.create(&stream("s", "kept")).await.expect("made");
        for n in 0..1000 {
            drop(dir.create(&stream("s", &format!("f{}", n / 2))).await.expect("made"));
        }
        assert_eq!(kept.claim.claims(), 1, "its own");
    }

    #[tokio::test]
    async fn a_session_with_many_writes_is_not_in_front_of_another_ones() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let pool = Arc::clone(&dir.create(&stream("a", "x")).await.expect("made").pool);
        let all = u32::try_from(pool.turns.available_permits()).expect("a few");
        let busy = pool.turns.acquire_many(all).await.expect("permits");
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut writes = tokio::task::JoinSet::new();
        for session in ["a"; 100].into_iter().chain(["b"]) {
            let mut sink = dir.create(&stream(session, "x")).await.expect("made");
            let order = Arc::clone(&order);
            writes.spawn(async move {
                write(&mut sink, b"x").await.expect("written");
                order.lock().expect("lock").push(session);
            });
            // Its write is in the queue before the next one's.
            tokio::task::yield_now().await;
        }
        // One operation at a time.
        busy.forget();
        pool.turns.add_permits(1);
        while let Some(write) = writes.join_next().await {
            write.expect("no panic");
        }
        let order = order.lock().expect("lock");
        let before = order.iter().position(|session| *session == "b").expect("written");
        assert!(before <= 8, "{before} writes of the other session came first");
    }

    #[tokio::test]
    async fn a_link_in_place_of_a_file_is_never_written_through() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let victim = temp.path().join("victim");
        std::fs::write(&victim, "precious").expect("victim");
        std::fs::create_dir(temp.path().join("out/s")).expect("session directory");
        symlink(&victim, temp.path().join("out/s/app")).expect("link");
        let mut sink = dir.create(&stream("s", "app")).await.expect("the next number");
        write(&mut sink, b"hello").await.expect("written");
        assert_eq!(std::fs::read(&victim).expect("victim"), b"precious");
        assert_eq!(std::fs::read(temp.path().join("out/s/app~2")).expect("file"), b"hello");
    }

    #[tokio::test]
    async fn a_link_in_place_of_a_session_directory_is_refused() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let elsewhere = temp.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).expect("directory");
        symlink(&elsewhere, temp.path().join("out/s")).expect("link");
        let error = dir.create(&stream("s", "app")).await.expect_err("a link");
        assert_eq!(error.problem, Problem::NotOurs);
        assert_eq!(std::fs::read_dir(&elsewhere).expect("directory").count(), 0);
    }

    #[tokio::test]
    async fn a_file_swapped_for_a_link_while_it_was_closed_is_refused() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let victim = temp.path().join("victim");
        std::fs::write(&victim, "precious").expect("victim");
        let path = temp.path().join("out/s/app");
        for hard in [false, true] {
            let mut sink = dir.create(&stream("s", "app")).await.expect("made");
            sink.finish().await.expect("closed");
            let path = sink.path();
            std::fs::remove_file(&path).expect("removed");
            if hard {
                std::fs::hard_link(&victim, &path).expect("link");
            } else {
                symlink(&victim, &path).expect("link");
            }
            let error = write(&mut sink, b"hello").await.expect_err("not the same file");
            assert_eq!(error.problem, Problem::NotOurs);
        }
        assert_eq!(std::fs::read(&victim).expect("victim"), b"precious");
        assert!(path.is_symlink());
    }

    #[tokio::test]
    async fn eighty_hostile_names_and_sessions_stay_beneath_the_directory() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        for name in hostile_names() {
            let mut sink = dir.create(&stream(&name, &name)).await.expect("made");
            write(&mut sink, name.as_bytes()).await.expect("written");
            let path = std::fs::canonicalize(sink.path()).expect("it exists");
            let root = std::fs::canonicalize(temp.path().join("out")).expect("root");
            assert_eq!(path.parent().and_then(Path::parent), Some(&*root), "{name:?}");
        }
        assert_eq!(std::fs::read_dir(temp.path()).expect("temp").count(), 1);
        assert_eq!(std::fs::read_dir(temp.path().join("out")).expect("out").count(), 80);
    }

    #[tokio::test]
    async fn more_streams_than_descriptors_are_as_many_files() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let mut sinks = Vec::new();
        for n in 0..1500 {
            sinks.push(dir.create(&stream("s", &format!("f{n}"))).await.expect("made"));
        }
        for (n, sink) in sinks.iter_mut().enumerate() {
            write(sink, b"first ").await.expect("written");
            write(sink, format!("{n}").as_bytes()).await.expect("written");
        }
        // Those of this test: others run beside it in this process.
        let ours = |fd: &std::fs::DirEntry| {
            std::fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(temp.path()))
        };
        let open = std::fs::read_dir("/proc/self/fd").expect("descriptors").flatten();
        let open = open.filter(ours).count();
        assert!((1..300).contains(&open), "{open} descriptors");
        for n in [0, 255, 256, 1499] {
            let path = temp.path().join(format!("out/s/f{n}"));
            assert_eq!(std::fs::read_to_string(path).expect("file"), format!("first {n}"));
        }
    }

    #[tokio::test]
    async fn gaps_are_recorded_beside_the_exact_bytes() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = open(temp.path()).await;
        let mut sink = dir.create(&stream("s", "app")).await.expect("made");
        write(&mut sink, b"abc").await.expect("written");
        sink.gap(3, 10).await.expect("recorded");
        sink.gap(3, 15).await.expect("recorded");
        assert_eq!(std::fs::read(temp.path().join("out/s/app")).expect("file"), b"abc");
        assert_eq!(
            std::fs::read_to_string(temp.path().join("out/s/app~gaps")).expect("file"),
            "{\"offset\":3,\"dropped\":10}\n{\"offset\":3,\"dropped\":5}\n"
        );
    }

    #[test]
    fn a_full_disk_is_an_error_of_its_own() {
        // /dev/full fails every write with ENOSPC.
        let Ok(full) = File::options().write(true).open("/dev/full") else {
            return; // only Linux has it
        };
        let error = write_batch(&full, 0, &[Bytes::from_static(b"x")]).expect_err("full");
        assert_eq!(SinkError::new("f", &error).problem, Problem::DiskFull);
    }
}
