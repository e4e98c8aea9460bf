//! Files sent once, read ahead of the stream, a bounded number of them open at a time.

use super::context::{Context, Identity};
use super::destination::Destination;
use super::pump::{Produce, deliver};
use super::stdin::ThreadReader;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

/// Files open at once.
const OPEN: usize = 64;

/// Streams of files that are not acknowledged yet, however many files there are. Well below the
/// peer's default limit of 1,024 open streams, so that other sources find room.
const UNFINISHED: usize = 512;

/// What a stream is given at once, and one read where many files are open: two of them for each are
/// in memory.
const CHUNK: usize = 128 * 1024;
/// One read where few files are open: each is a trip to another thread and back.
const READ: usize = 512 * 1024;
/// Files open at once up to which each may have such reads.
const FEW: usize = 4;
/// Blocks of such reads that a file keeps to use them again.
const BLOCKS: usize = 16;

/// Room for all files of a run, however many lists of them there are.
#[derive(Debug, Clone)]
pub(super) struct Room {
    open: Arc<Semaphore>,
    unfinished: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let (open, unfinished) = (Semaphore::new(OPEN), Semaphore::new(UNFINISHED));
        Self { open: Arc::new(open), unfinished: Arc::new(unfinished) }
    }
}

/// Sends all `files` in their order, some of them at the same time.
pub(super) async fn send_all<D: Destination>(
    room: Room,
    files: Vec<(Arc<Context<D>>, Identity, PathBuf)>,
) {
    let Room { open, unfinished } = room;
    let mut streams = JoinSet::new();
    for (context, identity, path) in files {
        let mut stop = context.stop.clone();
        let permit = tokio::select! {
            biased;
            () = stop.drain() => None,
            permit = unfinished.clone().acquire_owned() => permit.ok(),
        };
        let Some(permit) = permit else {
            // A drain begins no new file.
            context.record_stopped(identity);
            continue;
        };
        let open = open.clone();
        streams.spawn(async move {
            send(context, identity, &path, open).await;
            drop(permit);
        });
        while streams.try_join_next().is_some() {}
    }
    while streams.join_next().await.is_some() {}
}

async fn send<D: Destination>(
    context: Arc<Context<D>>,
    identity: Identity,
    path: &Path,
    open: Arc<Semaphore>,
) {
    let tally = context.enter(&identity);
    let result = context
        .unless_stopped(async {
            // The file first: one that cannot be read makes no stream.
            let permit = open.acquire_owned().await.ok();
            let stop = context.stop.clone();
            match Input::open(path.to_owned()).await.map_err(|error| context.failed(&error))? {
                Input::Regular(mut file) => {
                    file.permit = permit;
                    let size = file.size;
                    tally.set_backlog(Box::new(move |sent| Some(size.saturating_sub(sent))));
                    let (mut writer, _reader) = context.open(&identity, false, Vec::new()).await?;
                    deliver(&mut file, &mut writer, &identity.live, &tally).await
                }
                Input::Special(path) => {
                    let shown = path.clone();
                    let open = move || File::open(&path).map_err(|error| explain(&path, &error));
                    let mut reader = ThreadReader::spawn(open, stop)
                        .map_err(|error| context.failed(&explain(&shown, &error)))?;
                    let (mut writer, _reader) = context.open(&identity, false, Vec::new()).await?;
                    deliver(&mut reader, &mut writer, &identity.live, &tally).await
                }
            }
        })
        .await;
    context.record(identity, &tally, result);
}

/// Why nothing can be read at `path`, if that is certain already.
pub(super) fn unreadable(path: &Path) -> Option<io::Error> {
    regular(path).err()
}

enum Input {
    Regular(FileReader),
    /// A pipe or a device: its reads may block for as long as they like.
    Special(PathBuf),
}

impl Input {
    async fn open(path: PathBuf) -> io::Result<Self> {
        blocking(move || {
            let Some((file, size)) = regular(&path)? else { return Ok(Self::Special(path)) };
            // One more than the size, so that a small file and its end take a single read. The
            // size is a hint only: the file may grow or shrink, and is read to its end.
            let first = usize::try_from(size).unwrap_or(CHUNK).saturating_add(1).clamp(512, CHUNK);
            Ok(Self::Regular(FileReader {
                path,
                file: Some(Arc::new(file)),
                size,
                want: Some(first),
                ahead: None,
                rest: Bytes::new(),
                blocks: VecDeque::new(),
                permit: None,
            }))
        })
        .await
    }
}

/// Reads a regular file one read ahead.
struct FileReader {
    path: PathBuf,
    file: Option<Arc<File>>,
    /// When it was opened.
    size: u64,
    /// The length of the first read.
    want: Option<usize>,
    ahead: Option<JoinHandle<io::Result<(Bytes, bool)>>>,
    /// What was read and not handed out.
    rest: Bytes,
    /// Blocks that were read into and handed out, to be used again.
    blocks: VecDeque<Bytes>,
    /// Held as long as the file is open.
    permit: Option<OwnedSemaphorePermit>,
}

impl FileReader {
    fn read_ahead(&mut self) -> Option<JoinHandle<io::Result<(Bytes, bool)>>> {
        let file = self.file.clone()?;
        let want = self.want.take().unwrap_or_else(|| self.length());
        let block = self.block(want);
        Some(tokio::task::spawn_blocking(move || read_chunk(&file, want, block)))
    }

    /// Room for `want` bytes: a block that nobody holds any more, where there is one. The system
    /// takes longer to find new memory than to read into it.
    fn block(&mut self, want: usize) -> Vec<u8> {
        if want < READ {
            self.blocks = VecDeque::new();
        }
        let free = self.blocks.iter().position(Bytes::is_unique);
        let block = free.and_then(|free| self.blocks.remove(free)).map(Vec::from);
        let mut block = block.unwrap_or_default();
        block.clear();
        block.reserve_exact(want);
        block
    }

    /// Remembers a block that is handed out.
    fn keep(&mut self, block: &Bytes) {
        // The oldest stay: they are the first that nobody holds any more.
        if block.len() == READ && self.blocks.len() < BLOCKS {
            self.blocks.push_back(block.clone());
        }
    }

    /// The next piece of what was read: a stream's progress is counted by these.
    fn piece(&mut self) -> Bytes {
        let length = self.rest.len().min(CHUNK);
        self.rest.split_to(length)
    }

    /// Bytes for one read, by how many files share the memory.
    fn length(&self) -> usize {
        let free = self.permit.as_ref().map_or(0, |permit| permit.semaphore().available_permits());
        if OPEN.saturating_sub(free) <= FEW { READ } else { CHUNK }
    }
}

impl Produce for FileReader {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Ok(Some(self.piece()));
        }
        let Some(reading) = self.ahead.take().or_else(|| self.read_ahead()) else {
            return Ok(None);
        };
        let (chunk, end) = reading
            .await
            .map_err(io::Error::other)?
            .map_err(|error| explain(&self.path, &error))?;
        if end {
            self.file = None;
            self.permit = None;
            self.blocks = VecDeque::new();
        } else {
            self.ahead = self.read_ahead();
            self.keep(&chunk);
        }
        self.rest = chunk;
        Ok((!self.rest.is_empty()).then(|| self.piece()))
    }
}

/// A regular file and its size; nothing where there is a pipe or a device.
fn regular(path: &Path) -> io::Result<Option<(File, u64)>> {
    // Looked at before it is opened: opening a pipe blocks until it has a writer.
    let metadata = std::fs::metadata(path).map_err(|error| explain(path, &error))?;
    if metadata.is_dir() {
        let shown = path.display();
        return Err(io::Error::other(format!(
            "{shown} is a directory; send it as an archive: tar c {shown} | p2 send --stdin"
        )));
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    let file = File::open(path).map_err(|error| explain(path, &error))?;
    Ok(Some((file, metadata.len())))
}

/// Up to `want` bytes, and whether the file ended there. `block` is handed on as it is.
fn read_chunk(file: &File, want: usize, mut block: Vec<u8>) -> io::Result<(Bytes, bool)> {
    let length = file.take(want as u64).read_to_end(&mut block)?;
    Ok((Bytes::from(block), length < want))
}

fn explain(path: &Path, error: &io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => {
            "; check its permissions, or run as a user who may read it"
        }
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot read {}: {error}{hint}", path.display()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file of `bytes`, gives each piece to `took`, and returns the most blocks it kept.
    async fn read(bytes: &[u8], mut took: impl FnMut(Bytes)) -> usize {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        let input = Input::open(file.path().to_owned()).await.expect("opened");
        let Input::Regular(mut reader) = input else { panic!("a regular file") };
        reader.permit = Arc::new(Semaphore::new(OPEN)).try_acquire_owned().ok();
        let mut blocks = 0;
        while let Some(piece) = reader.next().await.expect("readable") {
            took(piece);
            blocks = blocks.max(reader.blocks.len());
        }
        assert!(reader.blocks.is_empty(), "given back at the end");
        blocks
    }

    fn pattern() -> Vec<u8> {
        (0..20 * READ as u32 + 1).flat_map(|n| (n / 4096).to_le_bytes()).step_by(3).collect()
    }

    #[tokio::test]
    async fn what_is_handed_on_is_read_into_the_same_blocks_again() {
        let (bytes, mut at) = (pattern(), 0);
        let blocks = read(&bytes, |piece| {
            assert!(bytes[at..].starts_with(&piece), "byte {at}");
            at += piece.len();
        })
        .await;
        assert_eq!(at, bytes.len());
        assert!((1..=3).contains(&blocks), "{blocks} blocks");
    }

    #[tokio::test]
    async fn blocks_are_used_again_in_the_order_in_which_they_are_let_go() {
        let (bytes, mut held, mut places) = (pattern(), VecDeque::new(), Vec::new());
        let most = (BLOCKS + 4) * READ / CHUNK;
        read(&bytes, |piece| {
            places.push(piece.as_ptr() as usize);
            held.push_back(piece);
            if held.len() > most {
                held.pop_front();
            }
        })
        .await;
        // Whoever holds more than is kept still gets a kept block back for each that it lets go.
        let again =
            (most + 1..places.len()).filter(|n| places[..n - most / 2].contains(&places[*n]));
        assert!(again.count() > (places.len() - most) / 2, "of {}", places.len() - most);
    }

    #[tokio::test]
    async fn what_somebody_holds_stays_as_it_was() {
        let (bytes, mut held) = (pattern(), Vec::new());
        let blocks = read(&bytes, |piece| held.push(piece)).await;
        assert!(held.concat() == bytes);
        assert_eq!(blocks, BLOCKS, "kept, of {}", bytes.len().div_ceil(READ));
    }
}
